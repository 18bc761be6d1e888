# syntax=docker/dockerfile:1
# podwhois as an image: one file of JavaScript on distroless Node. The build stage runs on the builder's own platform and what it makes
# is the same for all, so `docker buildx build --platform linux/amd64,linux/arm64 .` emulates nothing.

FROM --platform=$BUILDPLATFORM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY .build .build
COPY src src
RUN node .build/bundle.ts

# No shell, no package manager; user 65532.
FROM gcr.io/distroless/nodejs24-debian12:nonroot
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="podwhois" \
      org.opencontainers.image.description="Which pod has this IP? Answers from memory." \
      org.opencontainers.image.source="https://github.com/podwhois/podwhois" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
WORKDIR /podwhois
COPY --from=build /build/dist/podwhois.mjs /build/dist/THIRD_PARTY_LICENSES ./
COPY LICENSE ./
USER 65532:65532
EXPOSE 8080
# --max-old-space-size=512, --max-semi-space-size=16: 150,000 pods fit (npm run bench -- --only memory); without a limit V8 lets garbage
#   grow into the container's, and the kernel ends the process where V8 would have collected. Give the container 768 MiB.
#   V8 collects everything before it is half way from what lives to this bound: a smaller one makes lookups wait more often.
# --no-allocation-site-pretenuring, --no-memory-reducer: lookups wait while V8 collects garbage, and so it has less to collect.
# --heap-growing-percent=100: the heap grows by so much, not by a third, until everything is collected. --concurrent-marking-max-worker-num=2:
#   two threads of V8's may take the one core from lookups, not four (docs/decisions/0011-what-lookups-wait-for.md).
# --report-on-fatalerror to stderr: says what the heap held when it was too small; without the environment, which may hold secrets.
ENTRYPOINT ["/nodejs/bin/node", "--max-old-space-size=512", "--max-semi-space-size=16", "--no-allocation-site-pretenuring", "--no-memory-reducer", "--heap-growing-percent=100", "--concurrent-marking-max-worker-num=2", "--report-on-fatalerror", "--report-filename=stderr", "--report-compact", "--report-exclude-env", "podwhois.mjs"]
CMD ["serve"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/nodejs/bin/node", "podwhois.mjs", "healthcheck"]
