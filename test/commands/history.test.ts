import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { podwhois } from '../support/cli.ts';

const ROW = {
  ip: '10.42.0.5',
  name: 'web-1',
  namespace: 'shop',
  uid: 'uid-1',
  labels: {},
  node_name: 'node-1',
  service_account: 'web',
  workload: { kind: 'Deployment', name: 'web', source: 'owner' },
  host_network: false,
  terminating: false,
  finished: false,
  held_from: '2026-11-20T14:00:00.000Z',
  held_from_observed: true,
  held_until: null,
  held_until_observed: null,
};
const PAGE = { count: 1, history: [ROW], known_from: '2026-11-20T13:30:00.000Z', holes: [] };

/** A server that gives these answers in turn, the last again and again, and tells what it was asked. */
async function answering(t: TestContext, ...answers: readonly { readonly status?: number; readonly body: unknown }[]) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const body = await text(request);
      const { status = 200, body: answer } = answers[Math.min(asked.length, answers.length - 1)] ?? { body: {} };
      asked.push(`${request.method} ${request.url}${body && ` ${body}`}`);
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

test('history shows who held an address when, and what nobody has seen', async (t) => {
  const former = {
    ...ROW,
    name: 'a-longer-name',
    workload: null,
    held_from_observed: false,
    held_until: '2026-11-20T14:00:00.000Z',
    held_until_observed: false,
  };
  const holes = [
    { from: null, until: '2026-11-20T13:40:00.000Z' },
    { from: '2026-11-20T13:50:00.000Z', until: '2026-11-20T13:55:00.000Z' },
    { from: '2026-11-20T14:10:00.000Z', until: null },
  ];
  const { url, asked } = await answering(t, { body: { ...PAGE, history: [former, ROW], holes } });
  const { code, stdout, stderr } = await podwhois(['history', '10.42.0.5', '--server', url]);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  assert.deepEqual(stdout.split('\n'), [
    'FROM                        UNTIL                       STATUS   NAMESPACE  POD            NODE    WORKLOAD',
    '<=2026-11-20T14:00:00.000Z  >=2026-11-20T14:00:00.000Z  Ended    shop       a-longer-name  node-1  -',
    '2026-11-20T14:00:00.000Z    -                           Running  shop       web-1          node-1  Deployment/web',
    'nobody was watching before 2026-11-20T13:40:00.000Z',
    'nobody was watching from 2026-11-20T13:50:00.000Z until 2026-11-20T13:55:00.000Z',
    'nobody was watching since 2026-11-20T14:10:00.000Z',
    '',
  ]);
  assert.deepEqual(asked, ['GET /pods/history?ip=10.42.0.5&limit=1000']);
});

test('history follows the pages, and --since is so long ago or a time', async (t) => {
  const { url, asked } = await answering(t, { body: { ...PAGE, continue: 'next' } }, { body: PAGE });
  const { code, stdout } = await podwhois(['history', 'fd00::1', '--since', '24h', '-o', 'json', '--server', url]);
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout), { history: [ROW, ROW], known_from: PAGE.known_from, holes: [] });
  await podwhois(['history', 'fd00::1', '--since', '2026-11-20T14:00:00Z', '-o', 'yaml', '--server', url]);
  assert.deepEqual(asked, [
    'GET /pods/history?ip=fd00%3A%3A1&since=-24h&limit=1000',
    'GET /pods/history?ip=fd00%3A%3A1&since=-24h&limit=1000&continue=next',
    'GET /pods/history?ip=fd00%3A%3A1&since=2026-11-20T14%3A00%3A00Z&limit=1000',
  ]);
});

test('history says 1 when nobody is known to have had it, and 2 when there is no answer', async (t) => {
  const none = await answering(t, { body: { ...PAGE, count: 0, history: [] } });
  const { code, stderr } = await podwhois(['history', '10.42.0.5', '--server', none.url]);
  assert.deepEqual([code, stderr], [1, 'podwhois: nobody is known to have had it in that time\n']);
  for (const answer of [
    { status: 503, body: { code: 'not_synced', message: 'not yet' } },
    { status: 404, body: 'not found' },
    { body: { history: 'x' } },
  ]) {
    const { url } = await answering(t, answer);
    const { code, stdout, stderr } = await podwhois(['history', '10.42.0.5', '--server', url]);
    assert.deepEqual([code, stdout], [2, '']);
    assert.match(stderr, /answers (503|404|200)/);
  }
});

test('history says of each row how the pod was last: a finished or host-network pod does not answer for what it holds', async (t) => {
  const ended = { held_until: '2026-11-20T14:05:00.000Z', held_until_observed: true, terminating: true };
  const rows: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
    ['Running', {}],
    ['Terminating', { terminating: true }],
    ['Completed', { finished: true, terminating: true }],
    ['HostNetwork', { host_network: true, finished: true }],
    ['Ended', ended],
    ['Completed', { ...ended, finished: true }],
    ['HostNetwork', { ...ended, host_network: true }],
  ];
  const { url } = await answering(t, { body: { ...PAGE, history: rows.map(([, row]) => ({ ...ROW, ...row })) } });
  const { stdout } = await podwhois(['history', '10.42.0.5', '--server', url]);
  const lines = stdout.trimEnd().split('\n').slice(1);
  assert.deepEqual(
    lines.map((line) => line.split(/ +/)[2]),
    rows.map(([status]) => status),
  );
});

test('--until and --limit are those of HTTP, and no page asks for more rows than are wanted', async (t) => {
  const page = { ...PAGE, history: Array.from({ length: 1000 }, () => ROW), continue: 'next' };
  const { url, asked } = await answering(t, { body: page }, { body: { ...PAGE, continue: 'more' } });
  const args = ['history', '10.42.0.5', '--until', '1h', '--limit', '1001', '-o', 'json', '--server', url];
  const { code, stdout, stderr } = await podwhois(args);
  const answer = JSON.parse(stdout) as { history: unknown[]; continue: string };
  assert.deepEqual([answer.history.length, answer.continue, code], [1001, 'more', 0]);
  assert.equal(stderr, 'podwhois: there are more: ask with another --since or --limit\n');
  assert.deepEqual(asked, [
    'GET /pods/history?ip=10.42.0.5&until=-1h&limit=1000',
    'GET /pods/history?ip=10.42.0.5&until=-1h&limit=1&continue=next',
  ]);
  for (const limit of ['0', '-1', 'x', '1.5']) {
    assert.equal((await podwhois(['history', '10.42.0.5', '--limit', limit, '--server', url])).code, 2, limit);
  }
});

test('a --since that is neither duration nor time says how a day is written, and nothing is asked', async (t) => {
  const { url, asked } = await answering(t, { body: PAGE });
  for (const [flag, text] of [
    ['--since', '1d'],
    ['--until', 'yesterday'],
  ] as const) {
    const { code, stderr } = await podwhois(['history', '10.42.0.5', flag, text, '--server', url]);
    assert.equal(code, 2);
    assert.match(stderr, new RegExp(`${flag}: expected a duration, such as 15m, 24h \\(a day\\) or 720h`));
  }
  assert.deepEqual(asked, []);
});

test('names that a terminal would obey are shown, not obeyed', async (t) => {
  const { url } = await answering(t, { body: { ...PAGE, history: [{ ...ROW, name: 'a\u001b[2Jb' }] } });
  for (const format of ['table', 'wide', 'json', 'yaml']) {
    const { stdout } = await podwhois(['history', '10.42.0.5', '-o', format, '--server', url]);
    assert.ok(stdout.includes('2Jb') && !stdout.includes('\u001b'), format);
  }
});

test('lookup --at asks who had the addresses then', async (t) => {
  const then = { ...ROW, terminating: true, at: '2026-11-20T14:03:00.000Z', inferred: true };
  const one = await answering(t, { body: then });
  const { code, stdout } = await podwhois(['lookup', '10.42.0.5', '--at', '-15m', '--server', one.url]);
  assert.equal(code, 0);
  assert.match(stdout, /\n10\.42\.0\.5 +shop +web-1 +node-1 +-,terminating,inferred +Deployment\/web\n$/);
  const results = ['10.42.0.5', '10.42.0.6'].map((ip) => ({ ip, at: '-15m', status: 404, reason: 'not-observed' }));
  const many = await answering(t, { body: { results } });
  const both = await podwhois(['lookup', '10.42.0.5', '10.42.0.6', '--at', '-15m', '--server', many.url]);
  assert.equal(both.code, 1);
  assert.match(both.stdout, /none \(not-observed\)\n.*none \(not-observed\)\n$/);
  await podwhois(['lookup', '10.42.0.5', '--at', '15m', '--server', one.url]);
  assert.deepEqual(
    [...one.asked, ...many.asked],
    [
      'GET /pod?ip=10.42.0.5&at=-15m',
      'GET /pod?ip=10.42.0.5&at=-15m',
      'POST /pods/lookup {"ips":["10.42.0.5","10.42.0.6"],"at":"-15m"}',
    ],
  );
});
