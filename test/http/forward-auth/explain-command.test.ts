import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';
import { startForwardAuth } from './support/forward-auth.ts';
import { makePod } from '../support/pods.ts';
import { ask } from '../support/raw.ts';
import { podwhois } from '../../support/cli.ts';
import { isUnsafe } from '../../../src/terminal.ts';

const RULES = `
rules:
  - name: admin
    match: { path: /admin/**, host: admin.example }
    allow: [{ serviceAccount: ops/admin }]
  - name: functions of one's own namespace
    match: { path: "/fn/{namespace}/**" }
    allow:
      - serviceAccount: ops/admin
      - pod: { sameNamespaceAs: "{namespace}" }
`;

const PODS = [
  makePod('web', { namespace: 'shop', serviceAccount: 'cart', podIps: ['10.0.0.1'] }),
  makePod('twin-a', { podIps: ['10.0.0.5'] }),
  makePod('twin-b', { podIps: ['10.0.0.5'] }),
];

test('explain shows who calls, which rules were looked at, why they did not fit, and what decided', async (t) => {
  const { url } = await startForwardAuth(t, { rules: RULES, pods: PODS });
  const run = async (...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> =>
    await podwhois(['explain', '--server', url, ...args]);
  const request = ['--method', 'GET', '--host', 'fn.example'];

  const allowed = await run('--ip', '10.0.0.1', '--path', '/fn/shop/hello?a=b', ...request);
  assert.deepEqual(
    [allowed.code, allowed.stdout.split('\n')],
    [
      0,
      [
        'caller   10.0.0.1: the pod shop/web, service account shop/cart, workload shop/Deployment/web',
        'request  method GET, host fn.example, path /fn/shop/hello?a=b',
        'rule     "admin" (line 3) does not fit: host',
        `rule     "functions of one's own namespace" (line 6) fits and decides; peer 1: no, serviceAccount; peer 2: yes`,
        '',
        `allowed by the rule "functions of one's own namespace"`,
        '',
      ],
    ],
  );

  const denied = await run('--ip', '10.0.0.1', '--path', '/fn/bank/hello', ...request);
  assert.equal(denied.code, 1);
  assert.match(denied.stdout, /peer 1: no, serviceAccount; peer 2: no, pod\n\ndenied by the rule ".*": not-allowed/);

  const ambiguous = await run('--ip', '10.0.0.5', '--path', '/fn/bank/hello', ...request);
  assert.equal(ambiguous.code, 1);
  assert.match(ambiguous.stdout, /^caller {3}10\.0\.0\.5: not certain \(ambiguous\)\n/);
  assert.match(ambiguous.stdout, /denied: ambiguous \(.*\)\n {2}10\.0\.0\.5: default\/twin-a, default\/twin-b\n$/);

  const outside = await run('--ip', '203.0.113.1', '--path', '/elsewhere', ...request);
  assert.match(outside.stdout, /^caller {3}203\.0\.113\.1: no pod \(no-pod\)\n(.*\n)*\ndenied: no-rule/);

  const unsaid = await run('--ip', '10.0.0.1');
  assert.match(
    unsaid.stdout,
    /path not said\n(.*\n)*\ndenied by the rule "admin": unknown-request \(the rule asks for a host: give --host\)/,
  );
  const unread = await run('--ip', '10.0.0.1', '--host', 'a b', '--path', '/');
  assert.match(unread.stdout, /unknown-request \(the rule asks for a host: none can be read in --host\)/);
});

test('explain takes the constraints of the query as the proxy has them', async (t) => {
  const { url } = await startForwardAuth(t, { pods: PODS });
  const run = async (query: string): Promise<string> =>
    (await podwhois(['explain', '--server', url, '--ip', '10.0.0.1', '--query', query])).stdout;
  assert.match(await run('namespace=shop&label_selector=app%3Dweb'), /: holds\n\nallowed\n$/);
  assert.match(await run('?namespace=bank&namespace=shop'), /: holds\n\nallowed\n$/);
  assert.match(await run('namespace=bank'), /: namespace does not hold\n\ndenied: not-allowed/);
  assert.match(await run('workload=bank'), /: not looked at\n\ndenied: invalid-query/);
});

test('explain as JSON is what the server answers, and as it decides itself', async (t) => {
  const { url, port } = await startForwardAuth(t, { rules: RULES, pods: PODS });
  const headers = ['X-Forwarded-For: 10.0.0.1', 'X-Forwarded-Host: a.example', 'X-Forwarded-Uri: /fn/bank/x'];
  const preflight = await ask(port, '/authorize', { headers });
  const args = ['--ip', '10.0.0.1', '--path', '/fn/bank/x', '--host', 'a.example', '-o', 'json'];
  const { code, stdout } = await podwhois(['explain', ...args], { environment: { PODWHOIS_URL: url } });
  const explained = JSON.parse(stdout) as Record<string, unknown>;
  assert.deepEqual([code, explained['reason']], [1, preflight.json['reason']]);
  assert.deepEqual(explained['caller'], {
    ip: '10.0.0.1',
    kind: 'pod',
    name: 'web',
    namespace: 'shop',
    uid: 'uid-web',
    node: 'worker-1',
    service_account: 'shop/cart',
    workload: 'shop/Deployment/web',
  });
});

test('explain without an answer is an error and says why', async (t) => {
  const { url, source } = await startForwardAuth(t, { pods: PODS });
  const wrong = await podwhois(['explain', '--server', url, '--ip', '1.2.3']);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /400 invalid_ip/);
  source.synced = false;
  assert.match((await podwhois(['explain', '--server', url, '--ip', '10.0.0.1'])).stderr, /503 not_synced/);
  assert.equal((await podwhois(['explain', '--server', url])).code, 2);
});

test('what a server answers is not believed: another one, and hostile text', async (t) => {
  const server = createServer((_request, response) => {
    const rule = { name: 'a\u001b[2J\nallowed', line: 1, mismatch: 'x\u202e' };
    response.end(
      JSON.stringify({ allow: false, reason: 'r\n', caller: { kind: 'pod', name: 'n\n' }, rules: [rule, {}] }),
    );
  });
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { code, stdout } = await podwhois(['explain', '--server', url, '--ip', '10.0.0.1']);
  assert.equal(code, 1);
  assert.ok(!isUnsafe(stdout.replaceAll('\n', '')));
  assert.doesNotMatch(stdout, /^allowed/m);
  server.removeAllListeners('request').on('request', (_request, response) => response.end('{"allow":true}'));
  assert.equal((await podwhois(['explain', '--server', url, '--ip', '10.0.0.1'])).code, 2);
});
