import { envelope, itemHead } from './encoding/framing.ts';
import { encodeMessage } from './encoding/protobuf.ts';
import type { PodsRequest } from './api-request.ts';
import type { Body } from './body.ts';
import type { FaultActions } from './faults.ts';
import type { Format, PodVersion } from './pod-version.ts';
import { spoiled } from './spoiled.ts';
import { badRequest, continueExpired, expired, tooLarge } from './status.ts';
import { lowerBound } from './store.ts';
import type { PodStore } from './store.ts';

/** One page: its version, its pods, and the token of the next one. */
export interface Page {
  readonly version: number;
  readonly pods: readonly PodVersion[];
  readonly continue: string;
  readonly remaining: number | undefined;
}

const START = '\0';

function encodeToken(version: number, after: string): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: version, start: `/${after}${START}` })).toString(
    'base64url',
  );
}

function decodeToken(token: string): { readonly version: number; readonly after: string } {
  try {
    const { v, rv, start } = JSON.parse(Buffer.from(token, 'base64url').toString()) as Record<string, unknown>;
    if (v === 'meta.k8s.io/v1' && Number.isSafeInteger(rv) && typeof start === 'string' && start.endsWith(START))
      return { version: rv as number, after: start.slice(1, -START.length) };
  } catch {
    // not ours: refused below
  }
  throw badRequest('invalid continue token: continue key is not valid');
}

/** The state a list is answered from. Throws ApiError as the real server does. */
function state(
  store: PodStore,
  request: PodsRequest,
): { readonly version: number; readonly pods: readonly PodVersion[] } {
  const { resourceVersion: wanted, match } = request;
  const now = { version: store.version, pods: store.pods };
  if (wanted === undefined || wanted === 0) return now;
  if (wanted > store.version) throw tooLarge(wanted, store.version);
  // Without a match, a version with a limit means exactly that version, unless it is 0 (API concepts, "resourceVersionMatch").
  if (match === 'NotOlderThan' || (match === '' && request.limit === 0)) return now;
  const pods = store.at(wanted);
  if (!pods) throw expired(wanted, store.floor);
  return { version: wanted, pods };
}

/** A script that asks for what is forgotten is wrong, and shall notice. */
function remembered(store: PodStore, version: number): readonly PodVersion[] {
  const pods = store.at(version);
  if (!pods) throw new Error(`staleVersion ${version} is not in the history`);
  return pods;
}

/** Where the keys of a namespace begin, and whether a key is still in it. */
function scope(pods: readonly PodVersion[], namespace: string | undefined, after: string | undefined): number {
  const from = after ?? (namespace === undefined ? '' : `${namespace}/`);
  return lowerBound(pods.length, (i) => {
    const key = pods[i]?.key ?? '';
    return after === undefined ? key < from : key <= from;
  });
}

/** What a list (or one of its pages) answers. */
export function page(store: PodStore, request: PodsRequest, faults: FaultActions): Page {
  let after: string | undefined;
  let { version, pods } =
    faults.staleVersion === undefined
      ? { version: store.version, pods: store.pods }
      : { version: faults.staleVersion, pods: remembered(store, faults.staleVersion) };
  if (request.verb === 'page') {
    const token = decodeToken(request.continue);
    const then = store.at(token.version);
    if (!then || token.version > store.version) throw continueExpired();
    ({ version, after } = token);
    pods = then;
  } else if (faults.staleVersion === undefined) ({ version, pods } = state(store, request));
  const most = Math.min(
    request.limit === 0 ? Infinity : request.limit,
    faults.keep ?? Infinity,
    faults.empty ? 0 : Infinity,
  );
  const prefix = request.namespace === undefined ? '' : `${request.namespace}/`;
  const chosen: PodVersion[] = [];
  let more = false;
  let i = scope(pods, request.namespace, after);
  for (; i < pods.length; i++) {
    const pod = pods[i];
    if (!pod?.key.startsWith(prefix)) break;
    if (!request.everything && !request.matches(pod.object)) continue;
    more = chosen.length >= most;
    if (more) break;
    chosen.push(pod);
  }
  const last = chosen.at(-1);
  const continues = more && last !== undefined && most === request.limit;
  const counts = continues && request.everything && request.namespace === undefined;
  return {
    version,
    pods: chosen,
    continue: continues ? encodeToken(version, last.key) : '',
    remaining: counts ? pods.length - i : undefined,
  };
}

/** Writes a page; the whole list may be far larger than a string can be. */
export async function writePage(body: Body, page: Page, format: Format, faults: FaultActions): Promise<void> {
  const metadata = {
    resourceVersion: String(page.version),
    ...(page.continue === '' ? {} : { continue: page.continue }),
    ...(page.remaining === undefined ? {} : { remainingItemCount: page.remaining }),
  };
  await (format === 'json' ? writeJson : writeProtobuf)(body, page.pods, metadata, faults);
  await body.end();
}

async function writeJson(
  body: Body,
  pods: readonly PodVersion[],
  metadata: object,
  faults: FaultActions,
): Promise<void> {
  body.write(Buffer.from(`{"kind":"PodList","apiVersion":"v1","metadata":${JSON.stringify(metadata)},"items":[`));
  const comma = Buffer.from(',');
  for (const [i, pod] of pods.entries()) {
    if (i > 0) body.write(comma);
    body.write(spoiled(pod, 'json', faults));
    if (!body.full) continue;
    await body.flush();
    if (body.closed) return;
  }
  body.write(Buffer.from(']}\n'));
}

async function writeProtobuf(
  body: Body,
  pods: readonly PodVersion[],
  metadata: object,
  faults: FaultActions,
): Promise<void> {
  // The length of the whole message stands in front of it, so all objects are encoded before the first byte is sent.
  const items = pods.map((pod) => Uint8Array.prototype.slice.call(spoiled(pod, 'protobuf', faults)));
  const head = Buffer.from(encodeMessage('PodList', { metadata }));
  let length = head.length;
  for (const item of items) length += itemHead(item.length).length + item.length;
  const around = envelope('PodList', length);
  body.write(around.head);
  body.write(head);
  for (const item of items) {
    body.write(itemHead(item.length));
    body.write(item);
    if (!body.full) continue;
    await body.flush();
    if (body.closed) return;
  }
  body.write(around.tail);
}
