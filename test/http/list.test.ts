import assert from 'node:assert/strict';
import { test } from 'node:test';
import { get } from 'node:http';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { tokenOf } from '../../src/http/position.ts';
import { until } from '../support/until.ts';
import { changed, makePod, strings } from './support/pods.ts';
import { ask, exchange, open } from './support/raw.ts';
import { startService } from './support/service.ts';

type Json = Record<string, unknown>;

const names = ({ json }: { json: Json }): unknown[] => (json['pods'] as Json[]).map(({ name }) => name);

const many = (count: number, given = {}) =>
  Array.from({ length: count }, (_, i) => makePod(`p${String(i).padStart(6, '0')}`, given));

test('pods are listed in the order of namespace and name', async (t) => {
  const pods = [
    makePod('b'),
    makePod('a', { namespace: 'z', uid: 'uid-z-a' }),
    makePod('B', { namespace: 'constructor' }),
    makePod('a'),
    makePod('a-1'),
  ];
  const { port } = await startService(t, { pods });
  const answer = await ask(port, '/pods');
  assert.equal(answer.status, 200);
  assert.deepEqual(names(answer), ['B', 'a', 'a-1', 'b', 'a']);
  assert.deepEqual(Object.keys(answer.json), ['count', 'pods']);
  assert.equal(answer.json['count'], 5);
  assert.deepEqual((answer.json['pods'] as Json[])[1], (await ask(port, '/pod?namespace=default&name=a')).json);
});

test('filters select, and all of them must fit', async (t) => {
  const { port } = await startService(t, {
    pods: [
      makePod('a', { labels: strings({ app: 'web', tier: 'front' }), nodeName: 'n1', podIps: ['10.0.0.1'] }),
      makePod('b', {
        labels: strings({ app: 'db' }),
        nodeName: 'n1',
        phase: 'Pending',
        owner: undefined,
        workload: undefined,
      }),
      makePod('c', { namespace: 'other', nodeName: 'n2', podIps: ['10.0.0.1'], hostNetwork: true, phase: 'Failed' }),
      makePod('d', {
        namespace: 'other',
        owner: { kind: 'Job', name: 'j', uid: 'u' },
        workload: { kind: 'CronJob', name: 'cj', source: 'scheduled-time' },
      }),
    ],
  });
  const expected: Record<string, string[]> = {
    'namespace=default': ['a', 'b'],
    'namespace=none': [],
    'node=n1': ['a', 'b'],
    'phase=Pending': ['b'],
    'phase=Failed': ['c'],
    'label_selector=app%20in%20(web,db),!x': ['a', 'b', 'c', 'd'],
    'label_selector=tier': ['a'],
    'label_selector=app+notin+(web)': ['b'],
    'label_selector=': ['a', 'b', 'c', 'd'],
    'owner=Job/j': ['d'],
    'owner=CronJob/cj': ['d'],
    'owner=cj': ['d'],
    'owner=ReplicaSet/web-7d9f8b6c5': ['a', 'c'],
    'owner=Deployment/web': ['a', 'c'],
    'owner=Job/web': [],
    'ip=10.0.0.1': ['a', 'c'],
    'ip=::ffff:10.0.0.1': ['a', 'c'],
    'ip=10.0.0.1&namespace=other': ['c'],
    'ip=10.9.9.9': [],
    'node=n1&phase=Running&label_selector=app%3Dweb&owner=Deployment/web&namespace=default': ['a'],
  };
  for (const [query, pods] of Object.entries(expected))
    assert.deepEqual(names(await ask(port, `/pods?${query}`)), pods, query);
});

test('A6 pods by address lists all claimants, host-network and finished ones too, page by page', async (t) => {
  const pods = [
    makePod('a', { podIps: ['10.0.0.1'], hostNetwork: true }),
    makePod('b', { podIps: ['10.0.0.1'], phase: 'Succeeded' }),
    makePod('c', { podIps: ['10.0.0.1'] }),
  ];
  const { port } = await startService(t, { pods });
  const first = await ask(port, '/pods?ip=10.0.0.1&limit=2');
  assert.deepEqual(names(first), ['a', 'b']);
  assert.deepEqual(names(await ask(port, `/pods?ip=10.0.0.1&limit=2&continue=${String(first.json['continue'])}`)), [
    'c',
  ]);
});

test('more claimants than one turn takes are walked like all pods', async (t) => {
  const { port } = await startService(t, { pods: many(50, { podIps: ['10.0.0.1'] }), limits: { scanPerTurn: 7 } });
  assert.equal((await ask(port, '/pods?ip=10.0.0.1')).json['count'], 50);
});

test('pages are bounded and cover everything once', async (t) => {
  const { port } = await startService(t, { pods: many(1234) });
  assert.equal((await ask(port, '/pods')).json['count'], 500);
  for (const limit of [1000, 617, 100]) {
    const seen: unknown[] = [];
    let token: string | undefined;
    do {
      const answer = await ask(port, `/pods?limit=${limit}${token === undefined ? '' : `&continue=${token}`}`);
      assert.ok((answer.json['count'] as number) <= limit);
      assert.equal(answer.json['count'], (answer.json['pods'] as Json[]).length);
      seen.push(...names(answer));
      token = answer.json['continue'] as string | undefined;
    } while (token !== undefined);
    assert.deepEqual(
      seen,
      many(1234).map(({ name }) => name),
      `limit ${limit}`,
    );
  }
  const last = await ask(port, '/pods?limit=617&label_selector=app');
  const rest = await ask(port, `/pods?limit=617&continue=${String(last.json['continue'])}`);
  assert.equal(rest.json['continue'], undefined, 'no token when there is no more');
});

test('a page also ends when it has grown long', async (t) => {
  const { port } = await startService(t, {
    pods: many(40, { annotations: strings({ note: 'x'.repeat(1000) }) }),
    limits: { maxPageBytes: 10_000 },
  });
  const { json } = await ask(port, '/pods');
  assert.ok((json['count'] as number) < 12 && json['continue'] !== undefined);
});

test('a continue token works on another replica, and after the pod it names is gone', async (t) => {
  const pods = many(10);
  const [one, two] = [await startService(t, { pods }), await startService(t, { pods })];
  const { json } = await ask(one.port, '/pods?limit=4');
  two.remove(changed(pods[3] ?? makePod('never'), {}));
  const rest = await ask(two.port, `/pods?continue=${String(json['continue'])}`);
  assert.deepEqual(
    names(rest),
    pods.slice(4).map(({ name }) => name),
  );
});

test('C1 a page is as old as its beginning, and of the version that was reached then', async (t) => {
  const { port, source, clock, index } = await startService(t, { pods: many(100), limits: { scanPerTurn: 10 } });
  let pieces = 0;
  const walk = index.walk.bind(index);
  t.mock.method(index, 'walk', (options: Parameters<typeof walk>[0]) => {
    if (++pieces === 5) {
      // Half of it is made when time passes, and then the watch reaches something newer.
      clock.advance(3_000);
      source.age = 10;
      source.resourceVersion = '4712';
    }
    return walk(options);
  });
  const { headers, json } = await ask(port, '/pods');
  assert.equal(json['count'], 100);
  assert.deepEqual([headers.get('x-podwhois-age'), headers.get('x-podwhois-resource-version')], ['3.250', '4711']);
  const next = await ask(port, '/pods?limit=1');
  assert.deepEqual(
    [next.headers.get('x-podwhois-age'), next.headers.get('x-podwhois-resource-version')],
    ['0.010', '4712'],
  );
});

test('a token that is none, or of another question, is refused', async (t) => {
  const { port } = await startService(t, { pods: many(3) });
  const good = tokenOf({ namespace: 'default', name: 'p000000' });
  assert.deepEqual(names(await ask(port, `/pods?continue=${good}`)), ['p000001', 'p000002']);
  const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const wrong = [
    '',
    'x',
    '%00',
    `${good}=`,
    `${good}x`,
    ` ${good}`.replace(' ', '%20'),
    good.slice(1),
    encoded(['a']),
    encoded(['a', 1]),
    encoded({ namespace: 'a', name: 'b' }),
    encoded(null),
    encoded(['a', 'b', 'c']),
    Buffer.from('[ "a","b"]').toString('base64url'),
    tokenOf({ namespace: 'x'.repeat(1000), name: 'y' }),
  ];
  for (const token of wrong) {
    const { status, json } = await ask(port, `/pods?continue=${token}`);
    assert.deepEqual([status, json['code']], [400, 'invalid_continue'], token);
  }
  assert.equal((await ask(port, `/pods?namespace=other&continue=${good}`)).json['code'], 'invalid_continue');
});

test('wrong parameters of a list are refused with what would be right', async (t) => {
  const { port } = await startService(t);
  const wrong: Record<string, [string, RegExp]> = {
    'limit=0': ['invalid_request', /limit: expected a number from 1 to 1000/],
    'limit=1001': ['invalid_request', /1 to 1000/],
    'limit=-1': ['invalid_request', /limit/],
    'limit=1e2': ['invalid_request', /limit/],
    'limit=': ['invalid_request', /limit/],
    'limit=%D9%A3': ['invalid_request', /limit/],
    'limit=9999999999999': ['invalid_request', /limit/],
    'limit=1&limit=1': ['invalid_request', /limit: given more than once/],
    'phase=running': ['invalid_request', /phase: expected one of Pending, Running/],
    'by=name': ['invalid_request', /by: expected one of ip/],
    'by=ip&limit=1': ['invalid_request', /by=ip goes with neither/],
    'by=ip&ip=10.0.0.1': ['invalid_request', /by=ip goes with neither/],
    'namespace=': ['invalid_request', /namespace/],
    'watch=1': ['invalid_request', /unknown parameter "watch"/],
    'ip=10.0.0.0/8': ['invalid_ip', /ip/],
    'label_selector=a%3Db%2C%2C': ['invalid_selector', /label_selector, column 5: found ","/],
    'label_selector=a%00': ['invalid_selector', /column 1/],
  };
  for (const [query, [code, message]] of Object.entries(wrong)) {
    const { status, json } = await ask(port, `/pods?${query}`);
    assert.deepEqual([status, json['code']], [400, code], query);
    assert.match(String(json['message']), message, query);
  }
});

test('by=ip gives one object keyed by address, of those that have an answer', async (t) => {
  const { port } = await startService(t, {
    pods: [
      makePod('a', { podIps: ['10.0.0.1', 'fd00::1'] }),
      makePod('b', { podIps: ['10.0.0.2'], deletionTimestamp: 1 }),
      makePod('c', { podIps: ['10.0.0.2'], namespace: 'other' }),
      makePod('d', { podIps: ['10.0.0.3'] }),
      makePod('e', { podIps: ['10.0.0.3'] }),
      makePod('h', { podIps: ['10.0.0.4'], hostNetwork: true }),
      makePod('s', { podIps: ['10.0.0.5'], phase: 'Succeeded' }),
    ],
    limits: { scanPerTurn: 2 },
  });
  const { json } = await ask(port, '/pods?by=ip');
  const pods = json['pods'] as Record<string, Json>;
  assert.deepEqual(Object.fromEntries(Object.entries(pods).map(([ip, { name }]) => [ip, name])), {
    '10.0.0.1': 'a',
    'fd00::1': 'a',
    '10.0.0.2': 'c',
  });
  assert.equal(json['count'], 3);
  assert.deepEqual(pods['fd00::1'], (await ask(port, '/pod?ip=fd00::1')).json);
  assert.deepEqual((await ask(port, '/pods?by=ip&namespace=other')).json['count'], 1);
  assert.deepEqual((await ask(port, '/pods?by=ip&namespace=none')).json, { pods: {}, count: 0 });
});

test('by=ip names an address once, though it moves while the answer is made', async (t) => {
  const pods = many(2000, { annotations: strings({ note: 'x'.repeat(5000) }) }).map((pod, i) => ({
    ...pod,
    podIps: [`10.0.${i >> 8}.${i & 255}`],
  }));
  const { url, add } = await startService(t, { pods });
  const request = get(`${url}/pods?by=ip`, { agent: false });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const [first] = pods;
  const last = pods.at(-1);
  assert.ok(first && last);
  // The reader has not taken all that there is, so the last pods have not been looked at yet.
  add(changed(first, { podIps: [] }), changed(last, { podIps: ['10.0.0.0'] }));
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  assert.equal(text.split('"10.0.0.0":{').length - 1, 1);
  assert.equal((JSON.parse(text) as Json)['count'], 1999);
});

test('a reader of by=ip that goes away gives its place back', async (t) => {
  const { port, url } = await startService(t, {
    pods: many(3000, { annotations: strings({ n: 'x'.repeat(5000) }), podIps: ['10.0.0.1'] }),
    limits: { maxExports: 1 },
  });
  const connection = open(port);
  connection.socket.write('GET /pods?by=ip HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(connection.socket, 'data');
  connection.socket.destroy();
  await connection.closed;
  for (;;) {
    const { status } = await fetch(`${url}/pods?by=ip&namespace=none`);
    if (status === 200) break;
    assert.equal(status, 503);
  }
});

test('150,000 pods with a filter that matches nothing do not stall lookups', async (t) => {
  const pods = many(150_000, {
    podIps: [],
    owner: undefined,
    workload: undefined,
    containers: [],
    labels: strings({}),
  });
  const { port, url } = await startService(t, { pods: [...pods, makePod('zz', { podIps: ['10.0.0.1'] })] });
  const over = new AbortController();
  const scans = Promise.all(Array.from({ length: 8 }, () => ask(port, '/pods?node=none'))).finally(() => over.abort());
  const waits: number[] = [];
  while (!over.signal.aborted) {
    const began = performance.now();
    assert.equal((await fetch(`${url}/pod?ip=10.0.0.1`)).status, 200);
    waits.push(performance.now() - began);
  }
  for (const { json } of await scans) assert.deepEqual(json, { count: 0, pods: [] });
  waits.sort((a, b) => a - b);
  // Eight scans of 150,000 pods in one go would be one stall of some 100 ms each; the machine may be busy.
  assert.ok(waits.length > 20, `${waits.length} lookups meanwhile`);
  assert.ok((waits[Math.floor(waits.length / 2)] ?? 0) < 20, `median ${waits[Math.floor(waits.length / 2)]} ms`);
});

/** Sends requests on one connection, and reads none of the answers. */
async function deaf(port: number, requests: readonly string[]): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.pause();
  await once(socket, 'connect');
  socket.write(requests.map((target) => `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''));
  return socket;
}

// More than the kernel's buffers of both sides take.
const BULKY = { annotations: strings({ note: 'x'.repeat(60_000) }) };

test('a page that is not read keeps its place until its reader has gone', async (t) => {
  const { port } = await startService(t, { pods: many(1000, BULKY), limits: { maxScans: 4, maxOutgoing: 1e9 } });
  const sockets = [await deaf(port, ['/pods?limit=500', '/pods']), await deaf(port, ['/pods', '/pods'])];
  await until('every place is taken', async () => (await ask(port, '/pods?limit=1')).status === 503);
  await sleep(300);
  const { status, json } = await ask(port, '/pods?limit=1');
  assert.deepEqual([status, json['code']], [503, 'overloaded']);
  for (const socket of sockets) socket.destroy();
  await until('the places are free', async () => (await ask(port, '/pods?limit=1')).status === 200);
});

test('pages that nobody reads are bounded in bytes, all together: the others become short, and then are refused', async (t) => {
  const pods = many(1000, { ...BULKY, podIps: ['10.0.0.1'] });
  const { port } = await startService(t, { pods, limits: { maxOutgoing: 20_000_000 } });
  const before = process.memoryUsage().rss;
  const requests = Array.from({ length: 60 }, () => '/pods?limit=1000');
  const sockets = await Promise.all(Array.from({ length: 20 }, () => deaf(port, requests)));
  await until('there is no room', async () => (await ask(port, '/pods?limit=1')).status === 503);
  await sleep(300);
  const grown = process.memoryUsage().rss - before;
  assert.ok(grown < 150e6, `${Math.round(grown / 1e6)} MB`);
  const batch = await ask(port, '/pods/lookup', {
    method: 'POST',
    headers: ['Content-Type: application/json'],
    body: '{"ips":["10.0.0.1"]}',
  });
  assert.deepEqual([batch.status, batch.json['code']], [503, 'overloaded']);
  assert.equal((await ask(port, '/pod?ip=10.0.0.1')).status, 409, 'single lookups go on');
  for (const socket of sockets) socket.destroy();
  await until('there is room again', async () => (await ask(port, '/pods?limit=60')).json['count'] === 60);
});

test('long descriptions of a pod take room as pages do; short ones need none', async (t) => {
  const owner = { kind: 'Own', name: 'n'.repeat(1_000_000), uid: 'u' };
  const pods = [makePod('hostile', { podIps: ['127.0.0.1'], owner }), makePod('web', { podIps: ['10.0.0.1'] })];
  const { port } = await startService(t, { pods, limits: { maxOutgoing: 1 } });
  const atOnce = async (path: string): Promise<readonly string[]> => {
    const one = `GET ${path} HTTP/1.1\r\nHost: x\r\n`;
    const answers = await exchange(port, `${one}\r\n${one}\r\n${one}Connection: close\r\n\r\n`);
    return Array.from(answers.matchAll(/HTTP\/1\.1 (\d+)/g), ([, status]) => status ?? '');
  };
  for (const path of ['/whoami', '/pod?ip=127.0.0.1', '/pod?namespace=default&name=hostile']) {
    assert.deepEqual(await atOnce(path), ['200', '503', '503'], path);
    await until('there is room again', async () => (await ask(port, path)).status === 200);
  }
  assert.deepEqual(await atOnce('/pod?ip=10.0.0.1'), ['200', '200', '200']);
});

test('when little room is left a page is short, and goes on', async (t) => {
  const pods = many(50, { annotations: strings({ note: 'x'.repeat(1000) }) });
  const { port } = await startService(t, { pods, limits: { maxOutgoing: 5_000 } });
  const seen: unknown[] = [];
  let token: string | undefined;
  do {
    const answer = await ask(port, token === undefined ? '/pods' : `/pods?continue=${token}`);
    assert.ok((answer.json['count'] as number) < 6);
    seen.push(...names(answer));
    token = answer.json['continue'] as string | undefined;
  } while (token !== undefined);
  assert.deepEqual(
    seen,
    pods.map(({ name }) => name),
  );
});

test('by=ip is made in pieces of bounded length, each pod as it is then', async (t) => {
  const pods = many(200, { annotations: strings({ note: 'x'.repeat(30_000) }) }).map((pod, i) => ({
    ...pod,
    podIps: [`10.0.0.${i}`],
  }));
  const { url, index, add } = await startService(t, { pods });
  const looked: number[] = [];
  const holders = index.holders.bind(index);
  let inTurn = 0;
  t.mock.method(index, 'holders', (ip: string) => {
    if (inTurn++ === 0) setImmediate(() => looked.push(inTurn) && (inTurn = 0));
    return holders(ip);
  });
  const request = get(`${url}/pods?by=ip`, { agent: false });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const last = pods.at(-1);
  assert.ok(last);
  add(changed(last, { ready: false }), changed(pods[198] ?? last, { labels: strings({ now: 'another' }) }));
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const json = JSON.parse(Buffer.concat(chunks).toString()) as { pods: Record<string, Json>; count: number };
  assert.equal(json.count, 200);
  assert.deepEqual(
    [json.pods['10.0.0.199']?.['ready'], json.pods['10.0.0.198']?.['labels']],
    [false, { now: 'another' }],
  );
  assert.ok(Math.max(...looked) <= 20, `${Math.max(...looked)} pods of 30 kB at once`);
});

test('a selector of many requirements looks at fewer pods in a turn', async (t) => {
  const pods = [...many(2_000), makePod('zz', { podIps: ['10.0.0.1'] })];
  const { port, index } = await startService(t, { pods, limits: { scanPerTurn: 256 } });
  const selector = Array.from({ length: 900 }, (_, i) => `!k${i}`).join(',');
  const perTurn: number[] = [];
  const walk = index.walk.bind(index);
  t.mock.method(index, 'walk', (options: Parameters<typeof walk>[0]) => {
    perTurn.push(0);
    return (function* () {
      for (const pod of walk(options)) {
        perTurn[perTurn.length - 1]! += 1;
        yield pod;
      }
    })();
  });
  assert.equal((await ask(port, `/pods?limit=1000&label_selector=${selector}`)).json['count'], 1000);
  assert.ok(Math.max(...perTurn) * 900 <= 256 * 8, `${Math.max(...perTurn)} pods in a turn`);
  perTurn.length = 0;
  await ask(port, '/pods?limit=1000&label_selector=!a,!b');
  assert.equal(Math.max(...perTurn), 256);
});

test('scans under way are bounded', async (t) => {
  const { port } = await startService(t, { pods: many(5000), limits: { maxScans: 2, scanPerTurn: 1 } });
  const answers = await Promise.all(Array.from({ length: 5 }, () => ask(port, '/pods?node=none')));
  const codes = answers.map(({ status }) => status).sort((a, b) => a - b);
  assert.deepEqual(codes, [200, 200, 503, 503, 503]);
  assert.equal((await ask(port, '/pods?limit=1')).status, 200, 'and free again');
});
