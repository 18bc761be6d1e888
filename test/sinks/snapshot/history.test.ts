import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Piece } from '../../../src/index/history/piece.ts';
import { startSimulator } from '../../../src/simulator/simulator.ts';
import type { Simulator } from '../../../src/simulator/simulator.ts';
import { accessOf } from '../../../src/sinks/postgres/access.ts';
import { Database } from '../../../src/sinks/postgres/database.ts';
import { migrate } from '../../../src/sinks/postgres/migrate.ts';
import { openPiece } from '../../index/history/open-piece.ts';
import { insertPieces, insertStretches } from '../../support/history-rows.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { serveSnapshot } from '../../support/snapshot-service.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';

/** What a user sees of the history in Postgres: over HTTP, of the whole service, with rows that other processes have written. */

let postgres: RealPostgres;
let simulator: Simulator;
before(async () => {
  postgres = await startPostgres();
  simulator = await startSimulator({ pods: 20 });
});
after(async () => {
  await simulator.close();
  await postgres.down();
});

const X = '10.99.0.1';
const MINUTE = 60_000;

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly json: Record<string, unknown>;
}

/** A service that begins now, and a history that another process has written until ten minutes ago, but for a time in which it was away. */
async function stage(t: TestContext, port = postgres.port, more: Readonly<Record<string, string>> = {}) {
  const schema = postgres.schema();
  const database = new Database({
    access: accessOf(postgres.settings()),
    poolSize: 1,
    log: { info: () => {}, warn: () => {}, error: () => {} },
  });
  await migrate(database, schema);
  await database.close();
  const began = Math.floor(Date.now() / 1000) * 1000;
  const ago = (minutes: number): number => began - minutes * MINUTE;
  const place = {
    query: async (sql: string, values: readonly unknown[]) => await postgres.query(sql, values),
    schema,
    cluster: 'here',
  };
  let version = 0;
  const piece = (uid: string, from: number, end: number | undefined, labels = { app: uid }): Piece => ({
    ...openPiece(X, String((version += 2)), ago(from)),
    holder: {
      uid,
      namespace: 'shop',
      name: uid,
      labels,
      serviceAccount: 'default',
      nodeName: 'node-1',
      workload: { kind: 'Deployment', name: 'web', source: 'pod-template-hash' },
      hostNetwork: false,
    },
    until: end === undefined ? undefined : ago(end),
    untilVersion: end === undefined ? undefined : String(version + 1),
  });
  // Watched from 180 to 120 and from 60 to 10 minutes ago; versions below the simulator's own.
  await insertPieces(place, [
    piece('a', 170, 150),
    piece('b', 140, 55, { app: `"'; DROP TABLE x; --\u001b[31m\u202e` }),
    piece('c', 50, 30),
    piece('d', 25, 10),
  ]);
  await insertStretches(place, [
    { from: ago(180), until: ago(120), sinceVersion: '1', untilVersion: '4' },
    { from: ago(60), until: ago(10), sinceVersion: '5', untilVersion: '9' },
  ]);
  const own = { K8S_API_SERVER: simulator.url, PODWHOIS_SCHEMA: schema, CLUSTER_NAME: 'here' };
  const service = await serveSnapshot(t, {
    ...postgres.environment({ PGPORT: String(port) }),
    ...own,
    SNAPSHOT_FLUSH_INTERVAL: '3s',
    SNAPSHOT_HISTORY_RETENTION: '4h',
    ...more,
  });
  const ask = async (path: string, body?: unknown): Promise<Answer> => {
    const init =
      body === undefined
        ? {}
        : { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    const answer = await fetch(service.url + path, init);
    return { status: answer.status, headers: answer.headers, json: (await answer.json()) as Record<string, unknown> };
  };
  const at = async (minutes: number, ip = X): Promise<Answer> =>
    await ask(`/pod?ip=${ip}&at=${new Date(ago(minutes)).toISOString()}`);
  await until(
    'it has begun to write down',
    async () => (await ask(`/pod?ip=10.98.0.1&at=-0`)).json['code'] !== 'not_synced',
  );
  return { service, schema, ask, at, ago, place };
}

const iso = (ms: number): string => new Date(ms).toISOString();

test('who had an address before the process began is read from Postgres', async (t) => {
  const { at, ago, ask } = await stage(t);
  const { status, json } = await at(160);
  assert.equal(status, 200);
  assert.deepEqual(
    [
      json['name'],
      json['held_from'],
      json['held_from_observed'],
      json['held_until'],
      json['held_until_observed'],
      json['inferred'],
    ],
    ['a', iso(ago(170)), true, iso(ago(150)), true, false],
  );
  assert.deepEqual((await at(145)).json['reason'], 'no-pod', 'between two, while somebody was watching');
  assert.deepEqual(
    ((await at(125)).json['labels'] as Record<string, unknown>)['app'],
    `"'; DROP TABLE x; --\u001b[31m\u202e`,
  );
  const held = (await at(130)).json;
  assert.deepEqual([held['held_until'], held['held_until_observed']], [iso(ago(55)), true], 'an end beyond a hole');
  assert.equal((await at(300)).json['reason'], 'beyond-retention');
  assert.equal((await ask(`/pod?ip=${X}&at=${iso(Date.now() + MINUTE)}`)).status, 400);
});

test('the question of the documentation, who had it then, says in SQL what HTTP says', async (t) => {
  const { schema, ask, ago, place } = await stage(t);
  const t0 = 40;
  /** Of a pod that held the address 50 to 30 minutes ago, unless it says otherwise. */
  const claims: readonly Partial<Piece>[] = [
    {},
    { terminatingFrom: ago(t0), terminatingVersion: '7' },
    { terminatingFrom: ago(t0 - 1), terminatingVersion: '7' },
    { finishedFrom: ago(t0), finishedVersion: '7' },
    { finishedFrom: ago(t0 - 1), finishedVersion: '7' },
    { terminatingFrom: ago(45), terminatingVersion: '7', finishedFrom: ago(45), finishedVersion: '7' },
    { until: ago(t0) },
    { heldFrom: ago(t0 - 1), from: ago(t0 - 1) },
    { holder: undefined },
  ];
  const host = claims.length;
  const kinds = [...claims.keys(), host];
  const cases = [
    [],
    ...kinds.map((a) => [a]),
    ...kinds.flatMap((a) => kinds.filter((b) => b >= a && a !== 8).map((b) => [a, b])),
    ...kinds.flatMap((a) => [
      [a, 0, 1],
      [a, 1, 1],
    ]),
  ].filter((all) => all.filter((kind) => kind === 8).length < 2); // of what could not be read there is one row
  const ipOf = (i: number): string => `10.99.1.${i + 1}`;
  const pieces = cases.flatMap((all, i) =>
    all.map((kind, n): Piece => {
      const uid = `${i}-${n}`;
      const [workload, labels] = [undefined, {}];
      const who = { uid, namespace: 'shop', name: uid, labels, serviceAccount: 'default', nodeName: 'n', workload };
      return {
        ip: ipOf(i),
        holder: { ...who, hostNetwork: kind === host },
        heldFrom: ago(50),
        from: ago(50),
        until: ago(30),
        goesOn: false,
        terminatingFrom: undefined,
        finishedFrom: undefined,
        sinceVersion: '6',
        terminatingVersion: undefined,
        finishedVersion: undefined,
        untilVersion: '8',
        ...claims[kind],
      };
    }),
  );
  await insertPieces(place, pieces);
  const page = readFileSync(new URL('../../../docs/postgres.md', import.meta.url), 'utf8');
  const question = /^WITH asked[^;]*;/m.exec(page)?.[0] ?? '';
  const inSql = async (ip: string, minutes: number) => {
    const asked = question
      .replaceAll('podwhois.', `${schema}.`)
      .replace("'default'", "'here'")
      .replace('10.42.0.5', ip)
      .replace('2026-11-20T14:03:00Z', iso(ago(minutes)));
    const rows = await postgres.query<{ reason: string | null; name: string | null; terminating: boolean }>(asked);
    const { reason, terminating } = rows[0] ?? {};
    return { reason, names: rows.flatMap(({ name }) => name ?? []).toSorted(), terminating };
  };
  const reasons = new Set<unknown>();
  const ips = cases.map((_, i) => ipOf(i));
  const { json } = await ask('/pods/lookup', { ips, at: iso(ago(t0)) });
  for (const [i, result] of (json['results'] as Record<string, unknown>[]).entries()) {
    const pod = result['pod'] as { name: string; terminating: boolean } | undefined;
    const candidates = (result['candidates'] ?? []) as { name: string }[];
    const said = await inSql(ipOf(i), t0);
    const reason = pod ? null : (result['reason'] ?? result['code']);
    const names = pod ? [pod.name] : candidates.map(({ name }) => name).toSorted();
    assert.deepEqual([said.reason, said.names], [reason, names], JSON.stringify(cases[i]));
    if (pod) assert.equal(said.terminating, pod.terminating, JSON.stringify(cases[i]));
    reasons.add(reason);
  }
  assert.deepEqual(reasons, new Set([null, 'no-pod', 'terminal', 'ambiguous', 'host-network', 'not-observed']));
  assert.deepEqual(
    [await inSql(X, 90), await inSql(X, 5)].map(({ reason }) => reason),
    ['not-observed', 'not-observed'],
  );
});

test('in a hole it is inferred, or said who had the address on either side', async (t) => {
  const { at } = await stage(t);
  const inferred = (await at(90)).json;
  assert.deepEqual([inferred['name'], inferred['inferred']], ['b', true]);
  const { status, json } = await at(5);
  const name = (side: unknown): unknown => (side as { name: string } | null)?.name;
  assert.deepEqual([status, json['reason'], name(json['before']), json['after']], [404, 'not-observed', 'd', null]);
  const first = (await at(200)).json;
  assert.deepEqual(
    [first['reason'], first['before'], name(first['after'])],
    ['not-observed', null, 'a'],
    'before anybody watched',
  );
});

test('POST /pods/lookup joins what is in memory and what is in Postgres', async (t) => {
  const { ask, ago, service } = await stage(t);
  const [pod] = [...service.index.walk()].filter(
    (one) => !one.hostNetwork && one.podIps.length > 0 && one.phase === 'Running',
  );
  const here = pod?.podIps[0] ?? '';
  const ips = [
    { ip: X, at: iso(ago(160)) },
    { ip: here, at: '-0' },
    { ip: X, at: iso(ago(40)) },
    { ip: X, at: iso(ago(20)) },
    X,
  ];
  const { json } = await ask('/pods/lookup', { ips });
  assert.deepEqual(
    (json['results'] as Record<string, unknown>[]).map(
      ({ status, pod: found }) => (found as { name: string } | undefined)?.name ?? status,
    ),
    ['a', pod?.name, 'c', 'd', 404],
  );
});

test('GET /pods/history lists what both know, page by page, and the times in which nobody was watching', async (t) => {
  const { ask, ago } = await stage(t);
  const { json } = await ask(`/pods/history?ip=${X}`);
  const names = (page: Record<string, unknown>): unknown[] =>
    (page['history'] as { name: string }[]).map(({ name }) => name);
  assert.deepEqual(names(json), ['a', 'b', 'c', 'd']);
  const holes = json['holes'] as { from: string | null; until: string | null }[];
  assert.deepEqual(holes.slice(0, 2), [
    { from: null, until: iso(ago(180)) },
    { from: iso(ago(120)), until: iso(ago(60)) },
  ]);
  assert.equal(holes[2]?.from, iso(ago(10)));
  assert.equal(holes.length, 3);
  const all: unknown[] = [];
  for (let token = ''; ;) {
    const page = (await ask(`/pods/history?ip=${X}&limit=2${token}`)).json;
    all.push(...names(page));
    if (page['continue'] === undefined) break;
    token = `&continue=${page['continue'] as string}`;
  }
  assert.deepEqual(all, ['a', 'b', 'c', 'd']);
  assert.deepEqual(names((await ask('/pods/history?namespace=shop&name=c')).json), ['c']);
  assert.deepEqual(names((await ask('/pods/history?uid=d')).json), ['d']);
  assert.deepEqual(
    names((await ask(`/pods/history?ip=${X}&since=${iso(ago(52))}&until=${iso(ago(28))}`)).json),
    ['b', 'c'].slice(1),
  );
  const known = Date.parse(json['known_from'] as string);
  assert.ok(Math.abs(Date.now() - 240 * MINUTE - known) < MINUTE);
});

test('GET /pods/history: what went in a hole before `since`, and was heard of after it, takes no place in a page', async (t) => {
  const { ask, ago, place } = await stage(t);
  const gone = { ...openPiece(X, '3', ago(145)), until: ago(60), untilVersion: '5' };
  await insertPieces(place, [gone]);
  const names: unknown[] = [];
  let more = '';
  do {
    const { json } = await ask(`/pods/history?ip=${X}&since=${iso(ago(90))}&limit=1${more}`);
    const { history, continue: next } = json as { history: { name: string }[]; continue?: string };
    names.push(...history.map(({ name }) => name));
    more = next === undefined ? '' : `&continue=${next}`;
  } while (more !== '');
  assert.deepEqual(names, ['b', 'c', 'd']);
});

test('black-holed: memory goes on at once, the present is not touched, and the rest is a 503 within three seconds; then all is answered again', async (t) => {
  const proxy = await TcpProxy.to(postgres.port);
  t.after(async () => await proxy.close());
  const { at, ask, service } = await stage(t, proxy.port);
  assert.equal((await at(160)).json['name'], 'a');
  proxy.blackHole = true;
  const begun = performance.now();
  const waiting = at(160);
  const list = ask(`/pods/history?ip=${X}`);
  const [pod] = [...service.index.walk()].filter(
    (one) => !one.hostNetwork && one.podIps.length > 0 && one.phase === 'Running',
  );
  const here = pod?.podIps[0] ?? '';
  assert.equal((await ask(`/pod?ip=${here}`)).json['name'], pod?.name);
  assert.equal((await ask(`/pod?ip=10.98.0.1&at=-0`)).json['reason'], 'no-pod', 'nobody, while memory was watching');
  assert.equal((await ask('/ready')).status, 200);
  const before = performance.now() - begun;
  const { status, headers, json } = await waiting;
  assert.deepEqual([status, json['code'], headers.get('retry-after')], [503, 'history_unavailable', '1']);
  assert.equal((await list).json['code'], 'history_unavailable');
  const took = performance.now() - begun;
  assert.ok(before < took && took > 1_900, `${before} ms, ${took} ms`);
  const unsure = (await ask(`/pod?ip=${here}&at=-0`)).json;
  assert.deepEqual(
    [unsure['name'], unsure['held_from_observed']],
    [pod?.name, false],
    'a bound that memory has not seen is said as such',
  );
  proxy.blackHole = false;
  proxy.cut();
  await until('it is read again', async () => (await at(160)).json['name'] === 'a');
});

test('without SNAPSHOT_HISTORY_RETENTION nothing is read', async (t) => {
  const { at } = await stage(t, postgres.port, { SNAPSHOT_HISTORY_RETENTION: '0' });
  assert.equal((await at(160)).json['reason'], 'beyond-retention');
});

test('over a restart: who had an address before it is known after it, by whoever is asked, and so is the time between', async (t) => {
  const schema = postgres.schema();
  const serve = async () => {
    const own = { K8S_API_SERVER: simulator.url, PODWHOIS_SCHEMA: schema, CLUSTER_NAME: 'restarted' };
    // How fresh it is is proven every second.
    const service = await serveSnapshot(t, { ...postgres.environment(), ...own, READY_MAX_STALENESS: '3s' });
    const ask = async (path: string) => (await (await fetch(service.url + path)).json()) as Record<string, unknown>;
    await until('it writes down', async () => (await ask('/pod?ip=10.98.0.1&at=-0'))['code'] !== 'not_synced');
    return { service, ask };
  };
  const ip = '10.97.0.1';
  const first = await serve();
  t.after(async () => await first.service.close());
  simulator.cluster.createPod({ namespace: 'shop', name: 'early', ips: [ip] });
  await until('early has it', async () => (await first.ask(`/pod?ip=${ip}`))['name'] === 'early');
  const during = new Date().toISOString();
  simulator.cluster.deletePod('shop', 'early');
  simulator.cluster.createPod({ namespace: 'shop', name: 'later', ips: [ip] });
  await until('later has it', async () => (await first.ask(`/pod?ip=${ip}`))['name'] === 'later');
  const written = `SELECT name FROM ${schema}.ip_history WHERE ip = '${ip}' AND (name = 'later') = (valid_until = 'infinity')`;
  await until('both are written', async () => (await postgres.query(written)).length === 2);
  const heldSince = (await first.ask(`/pod?ip=${ip}&at=-0`))['held_from'] as string;
  const proven = `SELECT 1 FROM ${schema}.ip_history_watched WHERE watched_until > '${heldSince}'`;
  await until('it is proven that nothing was missed', async () => (await postgres.query(proven)).length === 1);
  const before = await first.ask(`/pod?ip=${ip}&at=${during}`);
  await first.service.close();
  // Without a change nothing would have been missed, which versions prove.
  simulator.cluster.createPod({ namespace: 'shop', name: 'unseen' });
  const second = await serve();
  t.after(async () => await second.service.close());
  assert.deepEqual(await second.ask(`/pod?ip=${ip}&at=${during}`), before);
  assert.deepEqual(
    [before['name'], before['held_from_observed'], before['held_until_observed']],
    ['early', true, true],
  );
  const now = await second.ask(`/pod?ip=${ip}&at=-0`);
  assert.deepEqual([now['name'], now['held_from'], now['held_from_observed']], ['later', before['held_until'], true]);
  const between = await second.ask(`/pods/history?ip=${ip}`);
  assert.deepEqual(
    (between['history'] as { name: string }[]).map(({ name }) => name),
    ['early', 'later'],
  );
  assert.equal((between['holes'] as unknown[]).length, 2, 'before the first, and between the two');
  const third = await serve();
  t.after(async () => await third.service.close());
  assert.deepEqual(await third.ask(`/pod?ip=${ip}&at=${during}`), before, 'a follower');
});
