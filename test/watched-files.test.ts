import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { createLog } from '../src/log.ts';
import { watchFiles } from '../src/watched-files.ts';
import type { Watched } from '../src/watched-files.ts';
import { MountedSecret } from './support/mounted-secret.ts';
import { temporaryDirectory } from './support/test-certificates.ts';
import { until } from './support/until.ts';
import { VirtualClock } from './support/virtual-clock.ts';

interface Started {
  readonly watched: Watched<string>;
  /** Lets the files be looked at once more. */
  readonly look: () => Promise<void>;
  /** Until what is there has been seen whole: twice. */
  readonly poll: () => Promise<void>;
  readonly logged: () => readonly {
    readonly level: string;
    readonly msg: string;
    readonly reason?: string;
    readonly faults?: readonly string[];
  }[];
  readonly stop: AbortController;
  readonly clock: VirtualClock;
}

/** Watches two files whose contents must begin with the same letter. */
async function start(t: TestContext, paths: readonly string[]): Promise<Started> {
  const clock = new VirtualClock();
  const stop = new AbortController();
  t.after(() => stop.abort());
  const lines: string[] = [];
  const log = createLog({ level: 'info', format: 'json' }, { write: (line) => void lines.push(line) });
  const watched = await watchFiles({
    paths,
    parse([a = '', b = '']) {
      if (a[0] !== b[0]) throw new Error(b === 'two faults' ? 'not right:\n    first\n    second' : 'not a pair');
      return a + b;
    },
    clock,
    log,
    signal: stop.signal,
  });
  const look = async (): Promise<void> => {
    await asleep();
    await clock.advance(2_000);
    await asleep();
  };
  const asleep = async (): Promise<true> => await until('it sleeps again', () => clock.sleepers > 0, { everyMs: 1 });
  return {
    watched,
    stop,
    clock,
    logged: () => lines.map((line) => JSON.parse(line) as never),
    look,
    async poll() {
      await look();
      await look();
    },
  };
}

test('files that Kubernetes swaps are read again, together, and listeners are told', async (t) => {
  const mounted = new MountedSecret(temporaryDirectory(t), { a: 'x1', b: 'x2' });
  const { watched, poll, logged } = await start(t, [mounted.path('a'), mounted.path('b')]);
  const told: string[] = [];
  watched.onChange((value) => told.push(value));
  assert.equal(watched.value, 'x1x2');
  await poll();
  assert.deepEqual([watched.value, told], ['x1x2', []]);
  mounted.swap({ a: 'y1', b: 'y2' });
  await poll();
  assert.deepEqual([watched.value, told], ['y1y2', ['y1y2']]);
  assert.deepEqual(
    logged().map(({ level, msg }) => [level, msg]),
    [['info', 'files have changed and were read again']],
  );
});

test('a file that is being written is used once it no longer changes, and a part of it never', async (t) => {
  const dir = temporaryDirectory(t);
  const [a, b] = [join(dir, 'a'), join(dir, 'b')];
  for (const path of [a, b]) writeFileSync(path, 'x');
  const { watched, look, logged } = await start(t, [a, b]);
  for (const [part, value] of [
    ['x: all', 'xx'],
    ['x: all but', 'xx'],
    ['x: all but one', 'xx'],
    ['x: all but one', 'x: all but onex'],
  ] as const) {
    writeFileSync(a, part);
    await look();
    assert.equal(watched.value, value);
  }
  assert.equal(logged().length, 1);
});

test('what cannot be used later leaves what was read before, loudly once and again after ten minutes, until it is right', async (t) => {
  const mounted = new MountedSecret(temporaryDirectory(t), { a: 'x1', b: 'x2' });
  const { watched, poll, logged, clock } = await start(t, [mounted.path('a'), mounted.path('b')]);
  const errors = (): number => logged().filter(({ level }) => level === 'error').length;
  mounted.swap({ a: 'y1', b: 'z2' });
  for (let i = 0; i < 3; i++) await poll();
  assert.deepEqual([watched.value, errors()], ['x1x2', 1]);
  assert.equal(logged()[0]?.reason, 'not a pair');
  clock.freeze(10 * 60_000);
  await poll();
  assert.equal(errors(), 2);
  mounted.swap({ a: 'y1', b: 'y2' });
  await poll();
  assert.equal(watched.value, 'y1y2');
  mounted.swap({ a: 'y1' });
  await poll();
  assert.deepEqual([watched.value, errors()], ['y1y2', 3]);
  assert.match(logged().at(-1)?.reason ?? '', /ENOENT.*\/b'/);
});

test('going back to what is in use ends the complaint and says so, and the same fault later is a new one', async (t) => {
  const mounted = new MountedSecret(temporaryDirectory(t), { a: 'x1', b: 'x2' });
  const { poll, logged } = await start(t, [mounted.path('a'), mounted.path('b')]);
  for (const b of ['z', 'x2', 'x2', 'z']) {
    mounted.swap({ a: 'x1', b });
    await poll();
  }
  assert.deepEqual(
    logged().map(({ level, reason }) => [level, reason]),
    [
      ['error', 'not a pair'],
      ['info', undefined],
      ['error', 'not a pair'],
    ],
  );
});

test('several faults are told one by one', async (t) => {
  const mounted = new MountedSecret(temporaryDirectory(t), { a: 'x1', b: 'x2' });
  const { poll, logged } = await start(t, [mounted.path('a'), mounted.path('b')]);
  mounted.swap({ a: 'x1', b: 'two faults' });
  await poll();
  assert.deepEqual(
    logged().map(({ reason, faults }) => [reason, faults]),
    [['not right:', ['first', 'second']]],
  );
});

test('at the start it must be right: what is wrong is told', async (t) => {
  const dir = temporaryDirectory(t);
  const file = (name: string, text: string | Uint8Array): string => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
  const right = file('right', 'x');
  mkdirSync(join(dir, 'folder'));
  execFileSync('mkfifo', [join(dir, 'pipe')]);
  for (const [path, pattern] of [
    [join(dir, 'nowhere'), /ENOENT.*nowhere/],
    [join(dir, 'folder'), /folder is not a file/],
    [join(dir, 'pipe'), /pipe is not a file/],
    [file('long', 'x'.repeat(1024 * 1024 + 1)), /long is longer than 1 MiB/],
    [file('latin1', Uint8Array.of(0x78, 0xe9)), /latin1 is not UTF-8/],
    [file('other', 'y'), /^Error: not a pair/],
  ] as const) {
    await assert.rejects(start(t, [right, path]), pattern);
  }
});

test('the mark that an editor puts in front of a file is no part of it', async (t) => {
  const mounted = new MountedSecret(temporaryDirectory(t), { a: '\uFEFFx1', b: 'x2' });
  const { watched } = await start(t, [mounted.path('a'), mounted.path('b')]);
  assert.equal(watched.value, 'x1x2');
});

test('it ends with its signal', async (t) => {
  const mounted = new MountedSecret(temporaryDirectory(t), { a: 'x1', b: 'x2' });
  const { watched, stop, clock, poll } = await start(t, [mounted.path('a'), mounted.path('b')]);
  await poll();
  stop.abort();
  mounted.swap({ a: 'y1', b: 'y2' });
  await clock.advance(60_000);
  assert.deepEqual([watched.value, clock.sleepers], ['x1x2', 0]);
});
