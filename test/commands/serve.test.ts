import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { getPriority, platform } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { startSimulator } from '../../src/simulator/simulator.ts';
import type { Simulator, SimulatorOptions } from '../../src/simulator/simulator.ts';
import { podwhois } from '../support/cli.ts';
import { PodwhoisProcess } from '../support/podwhois-process.ts';
import { until } from '../support/until.ts';

const IP = '10.200.0.1';

async function simulated(t: TestContext, options: SimulatorOptions = {}): Promise<Simulator> {
  const simulator = await startSimulator({ pods: 50, ...options });
  t.after(() => simulator.close());
  simulator.cluster.createPod({ namespace: 'demo', name: 'a', ips: [IP] });
  return simulator;
}

async function serving(
  t: TestContext,
  simulator: Simulator,
  environment: Record<string, string> = {},
): Promise<PodwhoisProcess> {
  const process = await PodwhoisProcess.start({ K8S_API_SERVER: simulator.url, ...environment });
  t.after(() => process.stop());
  return process;
}

const ended = async ({ child }: PodwhoisProcess): Promise<string> =>
  await until('podwhois ends', () => child.ended, { everyMs: 5 });

test('graceful shutdown on SIGTERM: not ready at once, still serving for SHUTDOWN_DELAY, then exit code 0', async (t) => {
  const process = await serving(t, await simulated(t), { SHUTDOWN_DELAY: '1500ms' });
  await process.untilReady();
  const started = performance.now();
  process.child.signal('SIGTERM');
  await until('not ready', async () => !(await process.ready()), { everyMs: 5 });
  assert.equal((await process.whoHas(IP)).status, 200);
  assert.equal(await ended(process), '0');
  assert.ok(performance.now() - started > 1400);
  assert.ok(process.logged().some((line) => line.includes('"closed"')));
});

/** The `nice` value of each of V8's threads; 19 is the lowest priority. */
function nicenessOfV8({ child }: PodwhoisProcess): readonly number[] {
  const tasks = `/proc/${child.pid}/task`;
  return readdirSync(tasks)
    .filter((id) => readFileSync(`${tasks}/${id}/comm`, 'utf8').trim() === 'V8Worker')
    .map((id) => getPriority(Number(id)));
}

test(
  "V8's threads leave the core to lookups, but not while all pods are read for the first time",
  { skip: platform() !== 'linux' && 'threads have a priority of their own on Linux only' },
  async (t) => {
    // It hears of changes of one namespace, and has not read the other one.
    const half = await simulated(t);
    half.faults.add({ where: ({ namespace }) => namespace === 'other', withhold: true, times: Infinity });
    const unsynced = await serving(t, half, { NAMESPACE: 'demo,other' });
    const hears = async (): Promise<boolean> => {
      half.cluster.createPod({ namespace: 'demo' });
      return /^podwhois_watch_events_total\{.*type="added".*\} [1-9]/m.test(
        String((await unsynced.get('/metrics')).body['text']),
      );
    };
    await until('it hears of changes', hears);
    const synced = await serving(t, await simulated(t));
    const areLow = (): boolean => nicenessOfV8(synced).every((nice) => nice === 19);
    await until("V8's threads give way", areLow);
    assert.ok(nicenessOfV8(synced).length > 0);
    const mine = getPriority();
    assert.equal(getPriority(synced.child.pid), mine);
    assert.deepEqual(new Set(nicenessOfV8(unsynced)), new Set([mine]));
  },
);

test('Ctrl-C does not wait', async (t) => {
  const process = await serving(t, await simulated(t), { SHUTDOWN_DELAY: '60s' });
  await process.untilReady();
  process.child.signal('SIGINT');
  assert.equal(await ended(process), '0');
});

test('a second signal ends it at once', async (t) => {
  const process = await serving(t, await simulated(t), { SHUTDOWN_DELAY: '60s' });
  await process.untilReady();
  process.child.signal('SIGTERM');
  await until('not ready', async () => !(await process.ready()), { everyMs: 5 });
  await sleep(300);
  process.child.signal('SIGTERM');
  assert.equal(await ended(process), '1');
});

test('a signal that is delivered twice, as npm and `timeout` do it, is one', async (t) => {
  const simulator = await simulated(t);
  // Where both come at once the kernel makes one of them.
  for (const betweenMs of [0, 1, 20, 50]) {
    const process = await serving(t, simulator, { SHUTDOWN_DELAY: '500ms' });
    await process.untilReady();
    process.child.signal('SIGTERM');
    if (betweenMs > 0) await sleep(betweenMs);
    process.child.signal('SIGTERM');
    assert.equal(await ended(process), '0', process.logged().join('\n'));
    assert.ok(process.logged().some((line) => line.includes('"closed"')));
  }
});

test('SIGTERM in the middle of a sync, at many points: no half index is ever visible, and the end is clean', async (t) => {
  const simulator = await simulated(t, { pods: 6000 });
  // 40 MB of protobuf, a piece every 20 ms: three seconds for all of it.
  simulator.faults.add({ drip: { bytes: 262_144, everyMs: 20 }, times: Infinity });
  for (const delay of [0, 20, 60, 120, 250]) {
    const process = await serving(t, simulator, { SHUTDOWN_DELAY: '0' });
    const answers: number[] = [];
    const asking = (async () => {
      for (;;) {
        const status = await process.whoHas(IP).then(
          (answer) => answer.status,
          () => 0,
        );
        if (status === 0) return;
        answers.push(status);
      }
    })();
    await sleep(delay);
    process.child.signal('SIGTERM');
    assert.equal(await ended(process), '0', process.logged().join('\n'));
    await asking;
    // Not synced yet, or synced and answered: never a miss for a pod that is there.
    assert.ok(
      answers.every((status) => status === 200 || status === 503),
      answers.join(),
    );
    assert.ok(answers.length > 0);
    await process.stop();
  }
});

test('an uncaught error is logged, and ends the process in order with exit code 1', async (t) => {
  const simulator = await simulated(t);
  const thrower = `data:text/javascript,${encodeURIComponent("process.on('SIGUSR2', () => { throw new Error('planted'); })")}`;
  const process = await serving(t, simulator, { NODE_OPTIONS: `--import ${thrower}` });
  process.child.signal('SIGUSR2');
  assert.equal(await ended(process), '1');
  assert.ok(process.logged().some((line) => line.includes('"fatal"') && line.includes('planted')));
});

test('a port that is taken is named with the setting to change', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => void taken.close());
  const { port } = taken.address() as AddressInfo;
  const environment = { PORT: String(port), HOST: '127.0.0.1', K8S_API_SERVER: 'http://127.0.0.1:1' };
  const { code, stderr } = await podwhois(['serve'], { environment });
  assert.equal(code, 1);
  assert.match(stderr, new RegExp(`cannot listen on 127\\.0\\.0\\.1, port ${port}: .*already in use.*PORT`));
});

test('no API server to be found is wrong usage, and says what to set', async () => {
  const { code, stderr } = await podwhois(['serve'], {
    environment: { HOME: '/nowhere', PORT: '0', HOST: '127.0.0.1' },
  });
  assert.equal(code, 2);
  assert.match(stderr, /^podwhois: K8S_API_SERVER: no API server: set it, or KUBECONFIG/);
});

test('the log at start says what is watched and which settings differ, and warns of what may surprise', async (t) => {
  const simulator = await simulated(t);
  const process = await serving(t, simulator, { NAMESPACE: 'demo', READY_MAX_STALENESS: '10s' });
  await process.untilReady();
  const lines = process
    .logged()
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const starting = lines.find(({ msg }) => msg === 'starting')?.['settings'] as Record<string, unknown>;
  assert.deepEqual([starting['NAMESPACE'], starting['READY_MAX_STALENESS']], [['demo'], '10s']);
  assert.deepEqual(lines.find(({ msg }) => msg === 'watching')?.['watching'], ['pods in namespace demo']);
  assert.ok(
    lines.some(({ level, msg }) => level === 'warn' && String(msg).startsWith('READY_MAX_STALENESS is under 15s')),
  );
});
