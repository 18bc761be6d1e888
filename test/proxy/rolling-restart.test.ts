import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { freePorts } from '../support/free-ports.ts';
import { PodwhoisProcess } from '../support/podwhois-process.ts';
import { whyProxyMissing } from '../support/server-binaries.ts';
import { until } from '../support/until.ts';
import { EchoUpstream, readLoosely } from './support/echo-upstream.ts';
import { environment, replaced, snippet } from './support/pages.ts';
import { caddyfile, startCaddy } from './support/proxies.ts';
import { CALLERS, addProxyPod, populate } from './support/stage.ts';

const PAGE = 'docs/proxies/caddy.md';

test(
  'a rolling restart of two replicas at 1,000 preflights/s through Caddy lets nobody pass wrongly and fails nobody',
  { skip: whyProxyMissing('caddy') },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'podwhois-rolling-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const simulator = await startSimulator({ pods: 200 });
    t.after(() => simulator.close());
    populate(simulator.cluster);
    const documented = environment(PAGE, 'podwhois');
    addProxyPod(simulator.cluster, documented['TRUSTED_PROXIES']);
    const settings = { ...documented, K8S_API_SERVER: simulator.url, SHUTDOWN_DELAY: '3s' };
    const upstream = await EchoUpstream.start();
    t.after(() => upstream[Symbol.asyncDispose]());

    const replicas = await Promise.all([PodwhoisProcess.start(settings), PodwhoisProcess.start(settings)]);
    t.after(() => Promise.all(replicas.map((one) => one.stop())));
    for (const one of replicas) await one.untilReady();
    const [first = '', second = ''] = replicas.map(({ url }) => new URL(url).host);
    const [port = 0] = await freePorts(1);
    const named = replaced(snippet(PAGE, 'Caddyfile: replicas'), {
      'podwhois-0.podwhois:8080': 'podwhois:8080',
      'podwhois-1.podwhois:8080': second,
    });
    const caddy = startCaddy(
      'caddy',
      caddyfile(named, { port, podwhois: first, app: upstream.address, folder }),
      folder,
    );
    t.after(() => caddy.stop());
    await until('Caddy listens', async () => (await fetch(`http://127.0.0.1:${port}`)).status > 0);
    upstream.take();

    const callers = [CALLERS.teamA, CALLERS.teamB].map((localAddress) => {
      const dispatcher = new Agent({ connections: 15, localAddress });
      t.after(() => dispatcher.destroy());
      return { dispatcher, shots: [] as Promise<number | string>[] };
    });
    const shoot = async (dispatcher: Agent): Promise<number | string> => {
      try {
        const answer = await request(`http://127.0.0.1:${port}/`, { dispatcher });
        await answer.body.dump();
        return answer.statusCode;
      } catch (error) {
        return String(error);
      }
    };
    const over = new AbortController();
    const began = performance.now();
    const load = (async () => {
      while (!over.signal.aborted) {
        for (const { dispatcher, shots } of callers) {
          while (2 * shots.length < performance.now() - began) shots.push(shoot(dispatcher));
        }
        await sleep(2);
      }
    })();

    await sleep(500);
    for (const [i, old] of replicas.entries()) {
      assert.equal(await old.child.stop('SIGTERM'), '0', 'it ends by itself');
      const fresh = await PodwhoisProcess.start(settings, { port: Number(new URL(old.url).port) });
      replicas[i] = fresh;
      await fresh.untilReady();
      // Kubernetes goes on to the next one when this one is ready, which Caddy notices with its next health check.
      await sleep(1500);
    }
    over.abort();
    await load;
    const [allowed, denied] = await Promise.all(callers.map(async ({ shots }) => await Promise.all(shots)));
    const seconds = (performance.now() - began) / 1000;
    assert.deepEqual([new Set(allowed), new Set(denied)], [new Set([200]), new Set([403])]);
    const seen = upstream.take();
    assert.equal(seen.length, allowed?.length);
    for (const one of seen) assert.deepEqual(readLoosely(one, 'X-Pod-Namespace'), ['team-a']);
    const rate = (2 * seen.length) / seconds;
    t.diagnostic(`${Math.round(rate)} preflights/s for ${seconds.toFixed(1)} s`);
    assert.ok(rate > 700, `only ${rate} preflights/s`);
  },
);
