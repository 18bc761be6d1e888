import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Past } from '../../src/http/context.ts';
import type { View } from '../../src/index/answer.ts';
import { instantOf } from '../../src/http/instant.ts';
import { JoinedPast } from '../../src/joined-past.ts';
import type { Pod } from '../../src/pod.ts';
import { RecordedIndex } from '../support/recorded-index.ts';
import { until } from '../support/until.ts';
import { makePod } from './support/pods.ts';
import { ask } from './support/raw.ts';
import { startService } from './support/service.ts';

const X = '10.0.0.1';
const START = Date.UTC(2026, 10, 20, 14, 0, 0);

/** Without an archive. */
const pastOf = ({ recorder, index }: RecordedIndex, view: View = { partial: false, clusterCidrs: [] }): JoinedPast =>
  new JoinedPast({ memory: recorder, archive: undefined, view, isHostIp: (ip) => index.isHostIp(ip) });

const iso = (seconds: number): string => new Date(START + seconds * 1000).toISOString();

/** A cluster in which X changed hands: nobody's, then a's from second 10 to 20, then b's. Now it is second 60. */
async function handedOn(t: TestContext, options: { maxEnded?: number; partial?: boolean } = {}) {
  const { partial = false, ...recording } = options;
  const view = { partial, clusterCidrs: [] };
  const world = new RecordedIndex({ view, ...recording });
  world.wall = START;
  const slice = world.index.slice();
  slice.beginReplace().commit('1');
  const at = (second: number): void => {
    while (world.wall < START + second * 1000) {
      world.pass(1_000);
      world.recorder.look();
    }
  };
  at(5);
  const a = makePod('a', { podIps: [X, 'fd00::1'], workload: { kind: 'Deployment', name: 'web', source: 'owner' } });
  const b = makePod('b', { podIps: [X], nodeName: '', serviceAccount: '', workload: undefined });
  at(10);
  slice.upsert(a);
  at(11);
  slice.upsert({ ...a, resourceVersion: '2000', labels: { app: 'later' } });
  at(20);
  slice.remove({ ...a, resourceVersion: '2001' });
  slice.upsert({ ...b, resourceVersion: '2002' });
  at(60);
  const service = await startService(t, { past: pastOf(world, view), view });
  return { ...service, world, slice, a, b, at };
}

test('GET /pod?ip=&at= answers who had the address then', async (t) => {
  const { port, metrics } = await handedOn(t);
  const { status, json } = await ask(port, `/pod?ip=${X}&at=${iso(15)}`);
  assert.equal(status, 200);
  assert.deepEqual(json, {
    ip: X,
    name: 'a',
    namespace: 'default',
    uid: 'uid-a',
    labels: { app: 'later' },
    node_name: 'worker-1',
    service_account: 'default',
    workload: { kind: 'Deployment', name: 'web', source: 'owner' },
    host_network: false,
    finished: false,
    held_from: iso(11),
    held_from_observed: true,
    held_until: iso(21),
    held_until_observed: true,
    terminating: false,
    at: iso(15),
    inferred: false,
  });
  const now = await ask(port, `/pod?ip=${X}&at=-5s`);
  assert.deepEqual(
    ['name', 'node_name', 'service_account', 'workload', 'held_until', 'held_until_observed', 'at'].map(
      (key) => now.json[key],
    ),
    ['b', null, null, null, null, null, iso(55)],
  );
  const earlier = await ask(port, `/pod?ip=${X}&at=${iso(7)}`);
  assert.deepEqual([earlier.status, earlier.json['reason']], [404, 'no-pod']);
  assert.equal(earlier.json['message'], 'no pod answered then: no pod had it');
  const { found, 'no-pod': none } = metrics.counters.history_lookups_total;
  assert.deepEqual([found, none, metrics.counters.lookups_total.found], [2, 1, 0]);
});

test('a time is RFC 3339 or so long ago, and nothing else', () => {
  const now = START;
  const right: readonly (readonly [string, number])[] = [
    ['2026-11-20T14:00:00Z', 0],
    ['2026-11-20t14:00:00z', 0],
    ['2026-11-20T14:00:00.25Z', 250],
    ['2026-11-20T14:00:00.123456789Z', 123],
    ['2026-11-20T15:30:00+01:30', 0],
    ['2026-11-20T15:30:00 01:30', 0],
    ['2026-11-20T13:00:00-01:00', 0],
    ['-15m', -900_000],
    ['-1h0.5s', -3_600_500],
    ['-0', 0],
  ];
  for (const [text, ms] of right) assert.equal(instantOf(text, now), START + ms, text);
  assert.equal(instantOf('0001-01-01T00:00:00Z', now), Date.parse('0001-01-01T00:00:00Z'), 'not of the 20th century');
  for (const text of [
    '',
    '-',
    '--1s',
    '-+1s',
    '15m',
    '+15m',
    '1763647200',
    'now',
    '2026-11-20',
    '2026-11-20T14:00Z',
    '2026-11-20T14:00:00',
    '2026-11-20 14:00:00Z',
    '2026-02-30T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-00-10T00:00:00Z',
    '2026-11-20T24:00:00Z',
    '2026-11-20T14:60:00Z',
    '2026-12-31T23:59:60Z',
    '2026-11-20T14:00:00+24:00',
    '2026-11-20T14:00:00.Z',
    '2026-11-20T14:00:00Z ',
    '12026-11-20T14:00:00Z',
  ]) {
    assert.equal(instantOf(text, now), undefined, text);
  }
});

test('a question about the past that makes no sense is a 400, and says why', async (t) => {
  const { port } = await handedOn(t);
  for (const [query, message] of [
    [`ip=${X}&at=yesterday`, 'at: expected a time such as 2026-11-20T14:03:00Z, or -15m: so long ago'],
    [`ip=${X}&at=${iso(61)}`, 'at: lies in the future'],
    [`uid=uid-a&at=-1s`, 'at: only with ip, and with neither wait nor max_staleness'],
    [`ip=${X}&at=-1s&wait=1s`, 'at: only with ip, and with neither wait nor max_staleness'],
    [`ip=${X}&at=-1s&max_staleness=1s`, 'at: only with ip, and with neither wait nor max_staleness'],
  ]) {
    const { status, json } = await ask(port, `/pod?${query}`);
    assert.deepEqual([status, json['code'], json['message']], [400, 'invalid_request', message], query);
  }
  assert.equal((await ask(port, '/pod?ip=x&at=-1s')).json['code'], 'invalid_ip');
  assert.equal((await ask(port, `/pod?ip=${X}&at=${iso(60)}`)).status, 200, 'now is no future');
});

test('what was not watched says who held the address on either side, or infers', async (t) => {
  const { port, world, slice, b, at } = await handedOn(t);
  for (let second = 61; second < 200; second++) {
    world.age += 1_000;
    at(second);
  }
  const during = await ask(port, `/pod?ip=${X}&at=-30s`);
  assert.deepEqual(
    [during.status, during.json['reason'], (during.json['before'] as Pod).name],
    [404, 'not-observed', 'b'],
  );
  world.age = 0;
  at(200);
  const { status, json } = await ask(port, `/pod?ip=${X}&at=-30s`);
  assert.deepEqual([status, json['name'], json['inferred']], [200, 'b', true]);
  for (let second = 201; second < 350; second++) {
    world.age += 1_000;
    at(second);
  }
  slice.remove({ ...b, resourceVersion: '3000' });
  slice.upsert(makePod('c', { podIps: [X], resourceVersion: '3001' }));
  world.age = 0;
  at(350);
  const { json: gap } = await ask(port, `/pod?ip=${X}&at=-30s`);
  const [before, after] = [gap['before'], gap['after']] as Record<string, unknown>[];
  assert.deepEqual(
    [gap['reason'], before?.['name'], before?.['held_until_observed'], after?.['name'], after?.['held_from_observed']],
    ['not-observed', 'b', false, 'c', false],
  );
  const first = await ask(port, `/pod?ip=fd00::1&at=${iso(-5)}`);
  assert.deepEqual([first.json['reason'], first.json['before']], ['not-observed', null]);
});

test('what was is answered however old the index has become, but not before anything was read', async (t) => {
  const { port, world, source } = await handedOn(t);
  source.age = 1e9;
  assert.equal((await ask(port, `/pod?ip=${X}`)).status, 503);
  assert.equal((await ask(port, `/pod?ip=${X}&at=-45s`)).status, 200);
  const other = new RecordedIndex();
  const service = await startService(t, { past: pastOf(other) });
  for (const path of [`/pod?ip=${X}&at=-45s`, `/pods/history?ip=${X}`]) {
    const { status, json, headers } = await ask(service.port, path);
    assert.deepEqual([status, json['code'], headers.get('retry-after')], [503, 'not_synced', '1']);
  }
  assert.ok(world.recorder.isReady);
});

test('several claimants then are a 409 with candidates; a part of the cluster says so', async (t) => {
  const { port, slice, at } = await handedOn(t, { partial: true });
  slice.upsert(makePod('twin', { podIps: [X], resourceVersion: '3000' }));
  at(70);
  const { status, json } = await ask(port, `/pod?ip=${X}&at=-1s`);
  assert.equal(status, 409);
  assert.deepEqual(json['candidates'], [
    { namespace: 'default', name: 'b', uid: 'uid-b' },
    { namespace: 'default', name: 'twin', uid: 'uid-twin' },
  ]);
  assert.equal((await ask(port, `/pod?ip=${X}&at=${iso(15)}`)).json['view'], 'partial');
  assert.equal((await ask(port, `/pod?ip=10.9.9.9&at=-1s`)).json['reason'], 'not-in-view');
});

test('a page of the history also ends when it has grown long, and the next one goes on behind it', async (t) => {
  const world = new RecordedIndex();
  world.wall = START;
  const slice = world.index.slice();
  slice.beginReplace().commit('1');
  world.recorder.look();
  for (let i = 0; i < 40; i++) {
    world.pass(1_000);
    const pod = makePod(`p${i}`, { podIps: [X], labels: { note: 'x'.repeat(1_000) } });
    slice.upsert({ ...pod, resourceVersion: String(2_000 + 2 * i) });
    world.recorder.look();
    slice.remove({ ...pod, resourceVersion: String(2_001 + 2 * i) });
    world.recorder.look();
  }
  const { port } = await startService(t, { past: pastOf(world), limits: { maxPageBytes: 10_000 } });
  const names: unknown[] = [];
  let token = '';
  do {
    const { json } = await ask(port, `/pods/history?ip=${X}${token}`);
    const { history, continue: next } = json as { history: Record<string, unknown>[]; continue?: string };
    assert.ok(history.length > 0 && history.length < 12, `${history.length} rows`);
    names.push(...history.map((row) => row['name']));
    token = next === undefined ? '' : `&continue=${next}`;
  } while (token !== '');
  assert.deepEqual(
    names,
    Array.from({ length: 40 }, (_, i) => `p${i}`),
  );
});

test('POST /pods/lookup takes a time for all, and one for each address', async (t) => {
  const { port, source } = await handedOn(t);
  const post = async (body: unknown) =>
    await ask(port, '/pods/lookup', {
      method: 'POST',
      headers: ['Content-Type: application/json'],
      body: JSON.stringify(body),
    });
  const ips = [X, { ip: X, at: iso(15) }, { ip: X }, { ip: 'x', at: iso(15) }, { ip: X, at: 'soon' }];
  const { status, json } = await post({ ips, at: '-1s' });
  assert.equal(status, 200);
  const results = json['results'] as Record<string, unknown>[];
  assert.deepEqual(
    results.map(({ ip, at, status, code, pod }) => [ip, at, status, code ?? (pod as Pod).name]),
    [
      [X, '-1s', 200, 'b'],
      [X, iso(15), 200, 'a'],
      [X, '-1s', 200, 'b'],
      ['x', iso(15), 400, 'invalid_ip'],
      [X, 'soon', 400, 'invalid_request'],
    ],
  );
  const [soon, future] = (await post({ ips: ['soon', '2999-01-01T00:00:00Z'].map((at) => ({ ip: X, at })) })).json[
    'results'
  ] as Record<string, unknown>[];
  assert.match(String(soon?.['message']), /^at: expected a time such as .*, or -15m: so long ago$/);
  assert.deepEqual([future?.['status'], future?.['message']], [400, 'at: lies in the future']);
  source.age = 1e9;
  assert.equal((await post({ ips: [{ ip: X, at: '-1s' }] })).status, 200);
  assert.equal((await post({ ips: [{ ip: X, at: '-1s' }, X] })).status, 503);
  for (const [wrong, message] of [
    [{ ips: [{ at: '-1s' }] }, 'body, ips/0: must have required properties ip'],
    [{ ips: [X, { ip: 1 }] }, 'body, ips/1/ip: must be string'],
    [{ ips: [{ ip: X, at: 1 }] }, 'body, ips/0/at: must be string'],
    [{ ips: [{ ip: X, when: '-1s' }] }, 'body, ips/0: unknown key "when"'],
    [{ ips: [1] }, 'body, ips/0: must be string or object'],
    [{ ips: [X, 1, 2] }, 'body, ips/1: must be string or object'],
    [{ ips: [X, 1, { ip: 2 }] }, 'body, ips/1: must be string or object'],
    [{ ips: [{ ip: 2 }, 1] }, 'body, ips/0/ip: must be string'],
    [{ ips: [1, {}], at: 1 }, 'body, ips/0: must be string or object'],
    [{ ips: [], at: 1 }, 'body, at: must be string'],
  ] as const) {
    const { status, json } = await post(wrong);
    assert.deepEqual([status, json['message']], [400, message]);
  }
});

test('GET /pods/history lists who held an address, or which addresses a pod held', async (t) => {
  const { port } = await handedOn(t);
  const rows = async (query: string) => {
    const { status, json } = await ask(port, `/pods/history?${query}`);
    assert.equal(status, 200, query);
    const history = json['history'] as Record<string, unknown>[];
    assert.equal(json['count'], history.length);
    return history.map((row) => [row['ip'], row['name'], row['held_from'], row['held_until']]);
  };
  const a = [X, 'a', iso(11), iso(21)];
  const b = [X, 'b', iso(21), null];
  const six = ['fd00::1', 'a', iso(11), iso(21)];
  assert.deepEqual(await rows(`ip=${X}`), [a, b]);
  assert.deepEqual(await rows('uid=uid-a'), [a, six]);
  assert.deepEqual(await rows('namespace=default&name=b'), [b]);
  assert.deepEqual(await rows('namespace=other&name=b'), []);
  assert.deepEqual(await rows(`ip=${X}&since=${iso(30)}`), [b]);
  assert.deepEqual(await rows(`ip=${X}&until=${iso(21)}`), [a]);
  const { json } = await ask(port, `/pods/history?ip=${X}`);
  assert.deepEqual(json['known_from'], iso(60 - 3_600));
  assert.deepEqual(json['holes'], [{ from: null, until: iso(1) }]);
  for (const [query, code] of [
    ['', 'invalid_request'],
    [`ip=${X}&uid=uid-a`, 'invalid_request'],
    ['name=a', 'invalid_request'],
    ['ip=x', 'invalid_ip'],
    [`ip=${X}&since=soon`, 'invalid_request'],
    [`ip=${X}&since=${iso(61)}`, 'invalid_request'],
    [`ip=${X}&since=${iso(9)}&until=${iso(8)}`, 'invalid_request'],
    [`ip=${X}&limit=0`, 'invalid_request'],
    [`ip=${X}&limit=1001`, 'invalid_request'],
    [`ip=${X}&continue=x`, 'invalid_continue'],
    ...[
      `[1e300,"${X}","b"]`,
      `[5e-324,"${X}","b"]`,
      `[1e999,"${X}","b"]`,
      `[-3e14,"${X}","b"]`,
      '[0,"\\u0000","b"]',
      `[0,"${X}","\\u0000"]`,
      '[0,"fd00::1","uid-a"]',
    ].map((key) => [`ip=${X}&continue=${Buffer.from(key).toString('base64url')}`, 'invalid_continue'] as const),
    [`uid=uid-b&continue=${Buffer.from(`[0,"${X}","uid-a"]`).toString('base64url')}`, 'invalid_continue'],
  ] as const) {
    const answer = await ask(port, `/pods/history?${query}`);
    assert.deepEqual([answer.status, answer.json['code']], [400, code], query);
  }
});

test('a row of the history says how the pod was last: finished, terminating, on the network of its node', async (t) => {
  const { port, slice, b, at } = await handedOn(t);
  slice.upsert({ ...b, resourceVersion: '3000', phase: 'Succeeded' });
  slice.upsert(makePod('c', { podIps: [X], resourceVersion: '3001', deletionTimestamp: START }));
  slice.upsert(makePod('d', { podIps: [X], resourceVersion: '3002', hostNetwork: true }));
  at(70);
  const { json } = await ask(port, `/pods/history?ip=${X}`);
  const rows = json['history'] as Record<string, unknown>[];
  assert.deepEqual(
    rows.map(({ name, held_until, finished, terminating, host_network }) => ({
      [String(name)]: [held_until, finished, terminating, host_network],
    })),
    [
      { a: [iso(21), false, false, false] },
      { b: [null, true, false, false] },
      { c: [null, false, true, false] },
      { d: [null, false, false, true] },
    ],
  );
});

test('a history of many rows comes page by page, each row once, whatever happens meanwhile', async (t) => {
  const { port, world, slice, at } = await handedOn(t);
  for (let i = 0; i < 30; i++) {
    const pod = makePod(`job-${i}`, {
      uid: 'the-same',
      name: 'job',
      podIps: [`10.1.0.${i}`],
      resourceVersion: `${4_000 + 2 * i}`,
    });
    slice.upsert(pod);
    at(61 + i);
    slice.remove({ ...pod, resourceVersion: `${4_001 + 2 * i}` });
  }
  const ips: unknown[] = [];
  let token = '';
  let pages = 0;
  do {
    const { json } = await ask(port, `/pods/history?namespace=default&name=job&limit=7${token}`);
    ips.push(...(json['history'] as Record<string, unknown>[]).map(({ ip }) => ip));
    token = typeof json['continue'] === 'string' ? `&continue=${json['continue']}` : '';
    slice.upsert(makePod(`other-${pages}`, { podIps: [`10.2.0.${pages}`], resourceVersion: `${5_000 + pages}` }));
    at(100 + pages++);
  } while (token !== '');
  assert.deepEqual(
    ips,
    Array.from({ length: 30 }, (_, i) => `10.1.0.${i}`),
  );
  assert.equal(pages, 5);
  assert.ok(world.recorder.intervals > 30);
});

test('what was dropped for want of room is beyond what is known, and so is what is longer ago', async (t) => {
  const { port } = await handedOn(t, { maxEnded: 1 });
  const { status, json } = await ask(port, `/pod?ip=${X}&at=${iso(15)}`);
  assert.deepEqual([status, json['reason']], [404, 'beyond-retention']);
  assert.equal((await ask(port, `/pod?ip=${X}&at=-2h`)).json['reason'], 'beyond-retention');
  assert.equal((await ask(port, `/pods/history?ip=${X}`)).json['known_from'], iso(21));
});

test('what memory does not know is waited for: one question or many, and lookups of the present do not wait', async (t) => {
  const { world } = await handedOn(t);
  const memory = pastOf(world);
  const asked: number[] = [];
  const answers: (() => void)[] = [];
  const past: Past = {
    isReady: true,
    reach: memory.reach,
    now: () => memory.now(),
    at(questions) {
      asked.push(questions.length);
      return new Promise((resolve) => answers.push(() => resolve(memory.at(questions))));
    },
    search: async (search) => memory.search(search),
  };
  const { port, metrics } = await startService(t, { past });
  const one = ask(port, `/pod?ip=${X}&at=${iso(15)}`);
  const ips = [X, { ip: X, at: iso(15) }, { ip: 'x', at: iso(15) }, { ip: X, at: iso(30) }];
  const many = ask(port, '/pods/lookup', {
    method: 'POST',
    headers: ['Content-Type: application/json'],
    body: JSON.stringify({ ips }),
  });
  await until('both are waiting', () => answers.length === 2);
  assert.deepEqual(
    asked.toSorted((a, b) => a - b),
    [1, 2],
    'all of a batch at once, and nothing that is no question',
  );
  assert.equal((await ask(port, `/pod?ip=${X}`)).json['reason'], 'no-pod');
  for (const answer of answers) answer();
  assert.equal((await one).json['name'], 'a');
  assert.deepEqual(
    ((await many).json['results'] as Record<string, unknown>[]).map(({ code, pod }) => code ?? (pod as Pod).name),
    ['pod_not_found', 'a', 'invalid_ip', 'b'],
  );
  assert.equal((await ask(port, `/pods/history?ip=${X}`)).json['count'], 2);
  const { found, invalid } = metrics.counters.history_lookups_total;
  assert.deepEqual([found, invalid], [3, 1]);
});

test('what memory does not know and cannot be read is a 503 that says when to ask again', async (t) => {
  const past: Past = {
    isReady: true,
    reach: START,
    now: () => START + 60_000,
    at: async (questions) => questions.map(() => ({ kind: 'unavailable' })),
    search: () => Promise.resolve(undefined),
  };
  const { port, metrics } = await startService(t, { past });
  for (const path of [`/pod?ip=${X}&at=-45s`, `/pods/history?ip=${X}`]) {
    const { status, json, headers } = await ask(port, path);
    assert.deepEqual([status, json['code'], headers.get('retry-after')], [503, 'history_unavailable', '1']);
  }
  const { json } = await ask(port, '/pods/lookup', {
    method: 'POST',
    headers: ['Content-Type: application/json'],
    body: JSON.stringify({ ips: [X], at: '-45s' }),
  });
  assert.deepEqual(json['results'], [{ ip: X, at: '-45s', status: 503, code: 'history_unavailable' }]);
  assert.equal(metrics.counters.history_lookups_total.history_unavailable, 2);
});
