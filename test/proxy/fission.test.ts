import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { freePorts } from '../support/free-ports.ts';
import { PodwhoisProcess } from '../support/podwhois-process.ts';
import { whyProxyMissing } from '../support/server-binaries.ts';
import { until } from '../support/until.ts';
import { callFrom } from './support/caller.ts';
import { EchoUpstream } from './support/echo-upstream.ts';
import { environment, replaced, snippet } from './support/pages.ts';
import { caddyfile, startCaddy } from './support/proxies.ts';
import { CALLERS, addProxyPod, populate } from './support/stage.ts';

const PAGE = 'docs/proxies/caddy.md';

test('Fission: a function answers its own namespace only', { skip: whyProxyMissing('caddy') }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'podwhois-fission-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const simulator = await startSimulator({ pods: 0 });
  t.after(() => simulator.close());
  const { cluster } = simulator;
  populate(cluster);
  const router = await EchoUpstream.start();
  t.after(() => router[Symbol.asyncDispose]());

  const settings = environment(PAGE, 'podwhois: functions');
  addProxyPod(cluster, settings['TRUSTED_PROXIES']);
  const FORWARD_AUTH_RULES = join(folder, 'rules.yaml');
  writeFileSync(FORWARD_AUTH_RULES, snippet(PAGE, 'rules.yaml: functions'));
  // As the threat model has it run: the proxy reaches the port that carries preflights only, and whoever reads pods needs a token.
  const LOOKUP_TOKEN_FILE = join(folder, 'tokens');
  writeFileSync(LOOKUP_TOKEN_FILE, 'a-token-that-nobody-has-here\n');
  const [port = 0, preflightPort = 0] = await freePorts(2);
  // Longer than the page's, for a machine that is busy with other tests.
  const FORWARD_AUTH_WAIT = '2s';
  const safely = { LOOKUP_TOKEN_FILE, PREFLIGHT_PORT: String(preflightPort), FORWARD_AUTH_WAIT };
  const podwhois = await PodwhoisProcess.start({
    ...settings,
    ...safely,
    FORWARD_AUTH_RULES,
    K8S_API_SERVER: simulator.url,
  });
  t.after(() => podwhois.stop());
  await podwhois.untilReady();
  assert.equal((await podwhois.get('/pods')).status, 401);
  assert.equal((await fetch(`http://127.0.0.1:${preflightPort}/pods`)).status, 404);
  const named = replaced(snippet(PAGE, 'Caddyfile: functions'), { 'router.fission:80': 'app:8080' });
  const places = { port, podwhois: `127.0.0.1:${preflightPort}`, app: router.address, folder };
  const caddy = startCaddy('caddy', caddyfile(named, places), folder);
  t.after(() => caddy.stop());
  const call = async (address: string, path: string): Promise<number> =>
    (await callFrom(address, port, { path })).status;
  await until('Caddy listens', async () => (await call(CALLERS.nobody, '/')) > 0);

  const { teamA, teamB, nobody, hostNetwork } = CALLERS;
  for (const path of [
    '/fission-function/team-a/hello',
    '/fission-function/team-a/hello/sub?x=y',
    '/FISSION-function/Team-A/hello',
  ]) {
    assert.equal(await call(teamA, path), 200, path);
    for (const stranger of [teamB, nobody, hostNetwork])
      assert.equal(await call(stranger, path), 403, `${stranger} ${path}`);
  }
  assert.equal(await call(teamB, '/fission-function/team-b/hello'), 200);
  // The function `team-a` of the namespace `default`, and everything that no rule fits.
  for (const path of [
    '/fission-function/team-a',
    '/fission-function/team-a/',
    '/fission-function',
    '/',
    '/team-a/hello',
  ]) {
    assert.equal(await call(teamA, path), 403, path);
  }
  router.take();
  for (const path of ['/fission-function/team-a/../team-b/hello', '/fission-function/team-a%2f..%2fteam-b/hello']) {
    assert.equal(await call(teamA, path), 400, path);
  }
  assert.deepEqual(router.take(), []);

  // A pod that calls before its address is known waits for it.
  const early = call('127.0.0.31', '/fission-function/team-a/hello');
  await sleep(100);
  assert.deepEqual(router.take(), []);
  cluster.createPod({ namespace: 'team-a', name: 'new', ips: ['127.0.0.31'] });
  assert.equal(await early, 200);
});
