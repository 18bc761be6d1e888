import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { createLog } from '../../src/log.ts';
import { startService } from '../../src/service.ts';
import type { Service } from '../../src/service.ts';
import { readCoreSettings } from '../../src/settings.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import type { Simulator } from '../../src/simulator/simulator.ts';
import { startChild } from '../support/child-process.ts';
import type { Child } from '../support/child-process.ts';
import { freePorts } from '../support/free-ports.ts';
import { until } from '../support/until.ts';

const missing = spawnSync('caddy', ['version']).status === 0 ? false : 'caddy is not installed: apt-get install caddy';
if (missing && process.env['CI'] === 'true') throw new Error(missing);

/** The README's Caddyfile, as it stands there. */
const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const SNIPPET = /```caddyfile\n(.*?)```/s.exec(README)?.[1] ?? '';

// Callers are loopback addresses that simulated pods carry.
const POD = '127.0.0.21';
const TWICE = '127.0.0.22';
const FINISHED = '127.0.0.23';
const NODE = '127.0.0.24';
const NOBODY = '127.0.0.25';

suite("the README's Caddyfile on a real Caddy", { skip: missing }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'podwhois-caddy-'));
  const upstream = createServer((_, res) => res.end('the app'));
  let simulator: Simulator;
  let service: Service;
  let caddy: Child;
  let port = 0;

  before(async () => {
    simulator = await startSimulator({ pods: 0 });
    const { cluster } = simulator;
    cluster.createPod({ name: 'caller', ips: [POD] });
    cluster.createPod({ name: 'twin-a', ips: [TWICE] });
    cluster.createPod({ name: 'twin-b', ips: [TWICE] });
    cluster.createPod({ name: 'job', ips: [FINISHED], phase: 'Succeeded' });
    cluster.createPod({ name: 'agent', ips: [NODE], hostNetwork: true });
    service = await startService(
      readCoreSettings({
        flags: {},
        environment: { PORT: '0', HOST: '127.0.0.1', K8S_API_SERVER: simulator.url },
      }),
      { log: createLog({ level: 'silent', format: 'json' }) },
    );
    await until('synced', () => service.source.synced);
    upstream.listen(0, '127.0.0.1');
    await once(upstream, 'listening');
    [port = 0] = await freePorts(1);
    const config = SNIPPET.replace(':8000', `http://127.0.0.1:${port}`)
      .replace('podwhois:8080', new URL(service.url).host)
      .replace('app:8080', `127.0.0.1:${(upstream.address() as AddressInfo).port}`);
    writeFileSync(join(folder, 'Caddyfile'), `{\n\tadmin off\n}\n${config}`);
    caddy = startChild({
      name: 'caddy',
      file: 'caddy',
      args: ['run', '--adapter', 'caddyfile', '--config', join(folder, 'Caddyfile')],
      logFile: join(folder, 'caddy.log'),
      env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    });
    await until('Caddy listens', async () => (await from(POD)).status > 0);
  });

  after(async () => {
    await caddy.stop();
    await service.close();
    await simulator.close();
    upstream.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function from(
    localAddress: string,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; body: string }> {
    const sent = request({ host: '127.0.0.1', port, localAddress, headers, agent: false }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    let body = '';
    for await (const chunk of response.setEncoding('utf8')) body += String(chunk);
    return { status: response.statusCode ?? 0, body };
  }

  test('a pod gets through', async () => {
    assert.deepEqual(await from(POD), { status: 200, body: 'the app' });
  });

  for (const [who, address, status, word] of [
    ['nobody', NOBODY, 404, 'no-pod'],
    ['two pods at once', TWICE, 409, 'ambiguous'],
    ['a finished pod', FINISHED, 404, 'terminal'],
    ["a node's address", NODE, 404, 'host-network'],
  ] as const) {
    test(`${who}: ${status}, and the app never hears of it`, async () => {
      const answer = await from(address);
      assert.equal(answer.status, status);
      assert.match(answer.body, new RegExp(word));
    });
  }

  test('a forged forwarding header changes nothing', async () => {
    for (const name of ['x-forwarded-for', 'forwarded', 'x-real-ip', 'client-ip']) {
      assert.equal((await from(NOBODY, { [name]: POD })).status, 404, name);
      assert.equal((await from(POD, { [name]: NOBODY })).status, 200, name);
    }
  });

  test('with podwhois gone nobody gets through', async () => {
    await service.close();
    assert.equal((await from(POD)).status, 502);
  });
});
