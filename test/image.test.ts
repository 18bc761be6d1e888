import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { startChild } from './support/child-process.ts';
import { until } from './support/until.ts';

/** What can be known of the image without a container engine: there is none where these tests run. */

const ROOT = join(import.meta.dirname, '..');
const lines = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
  .replace(/^#.*\n/gm, '')
  .replace(/\\\n/g, ' ')
  .split('\n')
  .filter((line) => line.trim() !== '');
const [buildStage = [], runStage = []] = [0, 1].map((stage) => {
  const starts = lines.flatMap((line, i) => (line.startsWith('FROM ') ? [i] : []));
  return lines.slice(starts[stage], starts[stage + 1]);
});
const argumentsOf = (stage: readonly string[], instruction: string): string[] =>
  stage.filter((line) => line.startsWith(`${instruction} `)).map((line) => line.slice(instruction.length + 1).trim());
const execForm = (instruction: string): string[] => JSON.parse(argumentsOf(runStage, instruction)[0] ?? '') as string[];

const folder = mkdtempSync(join(tmpdir(), 'podwhois-image-'));
const context = join(folder, 'context');
const image = join(folder, 'image');
after(() => rmSync(folder, { recursive: true, force: true }));

// What .dockerignore lets through, and nothing else.
const [everything, ...kept] = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
  .replace(/^#.*\n/gm, '')
  .trim()
  .split('\n');
for (const name of kept) cpSync(join(ROOT, name.slice(1)), join(context, name.slice(1)), { recursive: true });

/** The files a COPY takes, and where they go. */
function copies(
  stage: readonly string[],
): { readonly from: string | undefined; readonly sources: string[]; readonly to: string }[] {
  return argumentsOf(stage, 'COPY').map((line) => {
    const words = line.split(/\s+/);
    const from = words[0]?.startsWith('--from=') ? words.shift()?.slice('--from='.length) : undefined;
    return { from, sources: words.slice(0, -1), to: words.at(-1) ?? '' };
  });
}

test('.dockerignore lists what gets in, all of it is there, and COPY takes nothing else', () => {
  assert.equal(everything, '*');
  assert.ok(kept.length > 0 && kept.every((line) => line.startsWith('!')));
  for (const { from, sources } of [...copies(buildStage), ...copies(runStage)]) {
    if (from === undefined) for (const source of sources) assert.ok(existsSync(join(context, source)), source);
  }
});

test(
  'the build stage builds from what is copied, the run stage runs from what is copied',
  { timeout: 300_000 },
  async () => {
    const build = join(folder, 'build');
    for (const { sources, to } of copies(buildStage)) {
      const single = to === './' ? undefined : to;
      for (const source of sources) cpSync(join(context, source), join(build, single ?? source), { recursive: true });
    }
    for (const command of argumentsOf(buildStage, 'RUN')) {
      const path = `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`;
      const { status, stderr } = spawnSync('sh', ['-c', command], {
        cwd: build,
        encoding: 'utf8',
        env: { ...process.env, PATH: path },
      });
      assert.equal(status, 0, `${command}: ${stderr}`);
    }
    mkdirSync(image);
    for (const { from, sources } of copies(runStage)) {
      for (const source of sources) {
        const path = from === undefined ? join(context, source) : join(build, source.replace(/^\/build\//, ''));
        cpSync(path, join(image, source.split('/').at(-1) ?? ''));
      }
    }
    const [node = '', ...args] = execForm('ENTRYPOINT');
    assert.equal(node, '/nodejs/bin/node', 'where distroless has Node');
    const child = startChild({
      name: 'image',
      file: process.execPath,
      args: [...args, ...execForm('CMD')],
      cwd: image,
      logFile: join(folder, 'log'),
      env: { HOST: '127.0.0.1', PORT: '0', K8S_API_SERVER: 'http://127.0.0.1:9', SHUTDOWN_DELAY: '0s' },
    });
    try {
      await until('it listens', () => child.ended !== undefined || child.output().includes('"msg":"listening"'));
    } finally {
      // As PID 1 gets it from Kubernetes.
      assert.equal(await child.stop('SIGTERM'), '0', child.output());
    }
  },
);

test('whoever starts podwhois without the image is told the same flags for V8', () => {
  const flags = execForm('ENTRYPOINT').filter((one) => one.startsWith('--') && !one.startsWith('--report-'));
  assert.ok(flags.length > 0);
  const operations = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8');
  assert.ok(operations.includes(`\nnode ${flags.join(' ')} dist/podwhois.mjs serve\n`), flags.join(' '));
});

test('nobody is root in the image, and there is no shell form', () => {
  assert.deepEqual(argumentsOf(runStage, 'USER'), ['65532:65532']);
  assert.match(argumentsOf(runStage, 'FROM')[0] ?? '', /^gcr\.io\/distroless\/nodejs24-[a-z0-9]+:nonroot$/);
  assert.deepEqual(argumentsOf(runStage, 'RUN'), [], 'a RUN would need the target platform to be emulated');
  assert.match(argumentsOf(buildStage, 'FROM')[0] ?? '', /^--platform=\$BUILDPLATFORM /);
  assert.ok(Array.isArray(execForm('ENTRYPOINT')) && Array.isArray(execForm('CMD')));
  const [healthcheck = ''] = argumentsOf(runStage, 'HEALTHCHECK');
  assert.deepEqual(JSON.parse(healthcheck.slice(healthcheck.indexOf('['))), [
    '/nodejs/bin/node',
    'podwhois.mjs',
    'healthcheck',
  ]);
});
