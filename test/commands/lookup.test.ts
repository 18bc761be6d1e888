import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { parse } from 'yaml';
import { askServer, LookupError } from '../../src/commands/lookup/ask.ts';
import { exitCode } from '../../src/commands/lookup.ts';
import { podwhois } from '../support/cli.ts';
import { cannedPodwhois, miss, pod } from '../support/canned-podwhois.ts';

const AMBIGUOUS = {
  status: 409,
  code: 'ambiguous',
  candidates: [
    { namespace: 'shop', name: 'a', uid: '1' },
    { namespace: 'shop', name: 'b', uid: '2' },
  ],
};

test('one address is asked for by GET /pod and shown as a table', async () => {
  await using server = await cannedPodwhois({ '10.42.0.5': pod('web-1') });
  const { code, stdout, stderr } = await podwhois(['lookup', '10.42.0.5', '--server', server.url]);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  assert.equal(
    stdout,
    'IP         NAMESPACE  POD    NODE      PHASE    WORKLOAD\n10.42.0.5  shop       web-1  worker-1  Running  Deployment/web\n',
  );
  assert.deepEqual(server.requests, [{ method: 'GET', url: '/pod?ip=10.42.0.5' }]);
});

test('an answer from an old view is told of on standard error, and is the same otherwise; what was long ago has no age', async () => {
  const answers = { '10.42.0.5': pod('web-1') };
  await using fresh = await cannedPodwhois(answers, { age: '89.000' });
  await using old = await cannedPodwhois(answers, { age: '130.000' });
  await using unread = await cannedPodwhois(answers, { age: 'Infinity' });
  const ask = async (url: string, ...more: string[]) =>
    await podwhois(['lookup', '10.42.0.5', '-o', 'json', '--server', url, ...more]);
  const expected = await ask(fresh.url);
  assert.deepEqual([expected.code, expected.stderr], [0, '']);
  const note = 'podwhois: this was so 2m10s ago: podwhois has not read the cluster since\n';
  assert.deepEqual(await ask(old.url), { ...expected, stderr: note });
  assert.equal((await ask(old.url, '10.42.0.6')).stderr, note, 'once for all addresses');
  assert.equal((await ask(old.url, '--at', '-15m')).stderr, '');
  assert.deepEqual(await ask(unread.url), expected);
});

test('PODWHOIS_URL says where, the flag wins, and a path before it is kept', async () => {
  await using server = await cannedPodwhois({ '::1': pod('a') });
  const environment = { PODWHOIS_URL: 'http://127.0.0.1:1' };
  assert.equal((await podwhois(['lookup', '::1', '--server', server.url], { environment })).code, 0);
  assert.equal((await podwhois(['lookup', '::1'], { environment: { PODWHOIS_URL: `${server.url}/` } })).code, 0);
  await podwhois(['lookup', '::1'], { environment: { PODWHOIS_URL: `${server.url}/podwhois` } });
  assert.deepEqual(
    server.requests.map(({ url }) => url),
    ['/pod?ip=%3A%3A1', '/pod?ip=%3A%3A1', '/podwhois/pod?ip=%3A%3A1'],
  );
});

test('an answer that nests thousands deep is an error like any other that is not podwhois’', async () => {
  const deep = '['.repeat(200_000) + ']'.repeat(200_000);
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(`{"uid":"x","name":"a","labels":${deep}}`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    for (const format of ['json', 'yaml']) {
      const { code, stdout, stderr } = await podwhois(['lookup', '10.0.0.1', '-o', format, '--server', url]);
      assert.deepEqual([code, stdout], [2, ''], format);
      assert.match(stderr, /nests too deeply/);
    }
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('several addresses are asked for at once, and each has its line in the order given', async () => {
  await using server = await cannedPodwhois({
    '10.0.0.1': pod('web-1', { terminating: true }),
    '10.0.0.2': AMBIGUOUS,
    'fd00::1': pod('bare', { workload: null, node_name: '' }),
  });
  const { code, stdout } = await podwhois([
    'lookup',
    '10.0.0.9',
    '10.0.0.1',
    '10.0.0.2',
    'fd00::1',
    '10.0.0.1',
    '--server',
    server.url,
  ]);
  assert.equal(code, 1);
  assert.deepEqual(stdout.split('\n'), [
    'IP        NAMESPACE  POD    NODE      PHASE                WORKLOAD',
    '10.0.0.9  -          -      -         -                    none (no-pod)',
    '10.0.0.1  shop       web-1  worker-1  Running,terminating  Deployment/web',
    '10.0.0.2  -          -      -         -                    ambiguous: shop/a, shop/b',
    'fd00::1   shop       bare   -         Running              -',
    '10.0.0.1  shop       web-1  worker-1  Running,terminating  Deployment/web',
    '',
  ]);
  assert.equal(server.requests.length, 1);
});

test('of a time in which nobody was watching it is said who had the address before and after it', async () => {
  const before = {
    ...(pod('web-1').pod as object),
    held_until: '2026-11-20T14:00:00.000Z',
    held_until_observed: false,
  };
  const after = { ...(pod('web-2').pod as object), held_from: '2026-11-20T15:00:00.000Z', held_from_observed: true };
  await using server = await cannedPodwhois({
    '10.0.0.1': { ...miss('not-observed'), before, after },
    '10.0.0.2': { ...miss('not-observed'), before: null, after },
  });
  const { stdout } = await podwhois(['lookup', '10.0.0.1', '10.0.0.2', '--at', '-15m', '--server', server.url]);
  const known = stdout.split('\n').map((line) => /none .*/.exec(line)?.[0]);
  assert.deepEqual(known.slice(1, 3), [
    'none (not-observed; before: shop/web-1 until >=2026-11-20T14:00:00.000Z; after: shop/web-2 from 2026-11-20T15:00:00.000Z)',
    'none (not-observed; after: shop/web-2 from 2026-11-20T15:00:00.000Z)',
  ]);
});

test('what --at holds and is no time is told as such, however many addresses there are, and not asked about', async () => {
  await using server = await cannedPodwhois({});
  for (const at of ['15', '30d', '--15m', 'yesterday', '2026-11-20 14:03:00', '']) {
    const { code, stdout, stderr } = await podwhois([
      'lookup',
      '10.0.0.1',
      '10.0.0.2',
      '--at',
      at,
      '--server',
      server.url,
    ]);
    assert.deepEqual([code, stdout], [2, '']);
    assert.match(stderr, /^podwhois: --at: expected a duration, such as 15m, .*: so long ago; or a time such as .*\n$/);
  }
});

test('-o wide adds columns', async () => {
  await using server = await cannedPodwhois({ '10.0.0.1': pod('web-1') });
  const { stdout } = await podwhois(['lookup', '10.0.0.1', '10.0.0.2', '-o', 'wide', '--server', server.url]);
  const [header = '', found = '', missing = ''] = stdout.split('\n');
  assert.match(header, /WORKLOAD +OWNER +SERVICE-ACCOUNT +HOST-IP +READY +UID$/);
  assert.match(found, /Deployment\/web +ReplicaSet\/web-5d +default +192\.0\.2\.1 +yes +uid-web-1$/);
  assert.match(missing, /none \(no-pod\)$/);
  assert.equal(header.indexOf('OWNER'), found.indexOf('ReplicaSet/'));
});

test('JSON and YAML are a list with one entry per address, for one address too', async () => {
  await using server = await cannedPodwhois({ '10.0.0.1': pod('web-1'), '10.0.0.2': AMBIGUOUS });
  const expected = [
    { ip: '10.0.0.1', ...pod('web-1') },
    { ip: '10.0.0.2', ...AMBIGUOUS },
    { ip: '10.0.0.3', ...miss('no-pod') },
  ];
  const json = await podwhois(['lookup', '10.0.0.1', '10.0.0.2', '10.0.0.3', '-o', 'json', '--server', server.url]);
  assert.deepEqual(JSON.parse(json.stdout), expected);
  const yaml = await podwhois(['lookup', '10.0.0.1', '10.0.0.2', '10.0.0.3', '-o', 'yaml', '--server', server.url]);
  assert.deepEqual(parse(yaml.stdout), expected);
  const single = await podwhois(['lookup', '10.0.0.1', '-o', 'json', '--server', server.url]);
  assert.deepEqual(JSON.parse(single.stdout), expected.slice(0, 1));
});

test('- reads addresses from standard input, in batches of 1000, their order kept', async () => {
  const ips = Array.from({ length: 2500 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
  await using server = await cannedPodwhois(Object.fromEntries(ips.map((ip) => [ip, pod(`p-${ip}`)])));
  const input = `${ips.slice(0, 1200).join('\n')}\r\n\n ${ips.slice(1200).join(', ')}`;
  const { code, stdout } = await podwhois(['lookup', '::9', '-', '--server', server.url], { input });
  assert.equal(code, 1); // ::9 has none
  assert.deepEqual(
    stdout
      .split('\n')
      .slice(1, -1)
      .map((line) => line.split(/ +/)[0]),
    ['::9', ...ips],
  );
  assert.deepEqual(
    server.requests.map(({ ips }) => ips?.length),
    [1000, 1000, 501],
  );
  const none = await podwhois(['lookup', '-', '--server', server.url], { input: ' \n' });
  assert.deepEqual(none, { code: 2, stdout: '', stderr: 'podwhois: standard input holds no address\n' });
});

test('the exit code: 2 on any error, else 1 on any miss or ambiguous address, else 0', async () => {
  const results = (...statuses: number[]) => statuses.map((status) => ({ ip: '::1', status }));
  for (const [statuses, code] of [
    [[200], 0],
    [[200, 200], 0],
    [[404], 1],
    [[409], 1],
    [[200, 404], 1],
    [[200, 409], 1],
    [[400], 2],
    [[503], 2],
    [[404, 400], 2],
    [[409, 200, 503], 2],
    [[500, 200], 2],
    [[429], 2],
    [[204], 2],
    [[301], 2],
  ] as const) {
    assert.equal(exitCode(results(...statuses)), code, statuses.join());
  }
  await using server = await cannedPodwhois({
    x: { status: 400, code: 'invalid_ip' },
    '10.0.0.1': { status: 503, code: 'unreadable' },
    '10.0.0.2': AMBIGUOUS,
    '10.0.0.3': pod('a'),
  });
  const run = async (...ips: string[]) => await podwhois(['lookup', ...ips, '--server', server.url]);
  assert.equal((await run('10.0.0.3')).code, 0);
  assert.equal((await run('10.0.0.9')).code, 1);
  assert.equal((await run('10.0.0.2')).code, 1);
  assert.equal((await run('10.0.0.3', '10.0.0.1')).code, 2);
  const invalid = await run('x');
  assert.equal(invalid.code, 2);
  assert.match(invalid.stdout, /error 400 invalid_ip: 400 for x$/m);
});

test('a server that is not there is named, with the setting to change', async () => {
  const none = await podwhois(['lookup', '::1'], { environment: { PODWHOIS_URL: 'http://127.0.0.1:1' } });
  assert.deepEqual({ code: none.code, stdout: none.stdout }, { code: 2, stdout: '' });
  assert.match(
    none.stderr,
    /^podwhois: cannot ask http:\/\/127\.0\.0\.1:1: nothing listens there .*--server or PODWHOIS_URL/,
  );
  const wrong = await podwhois(['lookup', '::1'], { environment: { PODWHOIS_URL: 'podwhois:8080' } });
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /PODWHOIS_URL \(or --server\) is "podwhois:8080"/);
});

test('what is not the answer of podwhois is an error, never a miss and never a pod', async () => {
  let status = 404;
  let body = '';
  const server = createServer((_request, response) =>
    response.writeHead(status, { location: 'http://127.0.0.1:1/' }).end(body),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const rows = (...results: unknown[]): string => JSON.stringify({ results });
  for (const [nextStatus, nextBody, ...ips] of [
    [404, '<h1>not found</h1>', '::1'],
    [404, '{"statusCode":404,"code":"no_route","error":"Not Found","message":"no such path"}', '::1'],
    [200, '<h1>welcome</h1>', '::1'],
    [200, '{}', '::1'],
    [200, '[]', '::1'],
    [200, '"x"', '::1'],
    [302, '', '::1'],
    [500, '', '::1'],
    [200, '{}', '::1', '::2'],
    [200, rows({ ip: '::1', status: 404 }), '::1', '::2'],
    [200, rows({ ip: '::2', status: 404 }, { ip: '::1', status: 404 }), '::1', '::2'],
    [200, rows({ ip: '::1', status: 200 }, { ip: '::2', status: 404 }), '::1', '::2'],
    [200, rows({ ip: '::1', status: 404, pod: {} }, { ip: '::2', status: 404 }), '::1', '::2'],
    [200, rows(null, 1), '::1', '::2'],
    [503, '{"statusCode":503,"code":"not_synced","error":"x","message":"\\u001b[31mnot yet"}', '::1', '::2'],
  ] as const) {
    status = nextStatus;
    body = nextBody;
    await assert.rejects(askServer({ server: url }, { ips }), (error: Error) => {
      assert.ok(error instanceof LookupError);
      assert.ok(
        error.message.startsWith(`${url} answers ${status}`) && !error.message.includes('\u001b'),
        error.message,
      );
      return true;
    });
  }
  server.closeAllConnections();
  server.close();
});

test("other people's text cannot command the terminal, in any format", async () => {
  const evil = 'x\u001b]0;owned\u0007\u009b31m\u202e\u200b\u2028\n\rend';
  await using server = await cannedPodwhois({
    '10.0.0.1': pod(evil, { labels: { [evil]: evil }, workload: { kind: evil, name: evil }, node_name: evil }),
    '10.0.0.2': { status: 409, code: evil, candidates: [{ namespace: evil, name: evil, uid: evil }] },
    '10.0.0.3': { status: 500, code: evil, message: evil },
    '10.0.0.4': miss(evil),
    [evil]: { status: 400, code: 'invalid_ip' },
  });
  const ips = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', evil];
  for (const format of ['table', 'wide', 'json', 'yaml']) {
    const { stdout } = await podwhois(['lookup', ...ips, '-o', format, '--server', server.url]);
    assert.doesNotMatch(stdout.replaceAll('\n', ''), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u, format);
    if (format === 'json' || format === 'yaml') {
      const [first] = parse(stdout) as { pod: { name: string; labels: Record<string, string> } }[];
      assert.deepEqual({ name: first?.pod.name, labels: first?.pod.labels }, { name: evil, labels: { [evil]: evil } });
    } else {
      assert.equal(stdout.split('\n').length, 1 + ips.length + 1);
    }
  }
});
