import { canonicalIp } from '../../src/index/ip-address.ts';
import type { Cluster } from '../../src/simulator/cluster.ts';
import type { PodObject } from '../../src/simulator/pod-object.ts';
import type { RealPostgres } from './real-postgres.ts';

/** That a pod held an address, from the version that gave it until the one that took it. */
interface TrueHold {
  readonly key: string;
  readonly since: number;
  until: number;
}

const keysOf = ({ metadata, status }: PodObject): readonly string[] => {
  const { podIP, podIPs = [] } = status as { podIP?: string; podIPs?: readonly { ip: string }[] };
  const ips = [podIP, ...podIPs.map(({ ip }) => ip)].flatMap((ip) => (ip ? [canonicalIp(ip) ?? ip] : []));
  return [...new Set(ips)].map((ip) => `${ip} ${metadata.uid}`);
};

/** Who held which address, by the simulator's own log, which must not have forgotten anything. */
export class TrueHolds {
  readonly #cluster: Cluster;
  /** By the pod's name, for which it is the first record. */
  readonly #first: readonly PodObject[];
  readonly #from: number;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#first = cluster.store.objects.map(({ object }) => object);
    this.#from = cluster.store.version;
  }

  get all(): readonly TrueHold[] {
    const holds: TrueHold[] = [];
    const open = new Map<string, TrueHold>();
    const set = (before: readonly string[], now: readonly string[], version: number): void => {
      for (const key of before) {
        const hold = open.get(key);
        if (now.includes(key) || !hold) continue;
        hold.until = version;
        open.delete(key);
      }
      for (const key of now) {
        if (open.has(key)) continue;
        const hold = { key, since: version, until: Infinity };
        holds.push(hold);
        open.set(key, hold);
      }
    };
    for (const pod of this.#first) set([], keysOf(pod), Number(pod.metadata.resourceVersion));
    const { log, floor } = this.#cluster.store;
    if (floor > this.#from) throw new Error('the simulator has forgotten a part of its log');
    for (const { version, type, current, previous } of log) {
      if (version <= this.#from) continue;
      set(previous ? keysOf(previous.object) : [], type === 'DELETED' ? [] : keysOf(current.object), version);
    }
    return holds;
  }

  /** What is wrong with the history in Postgres: nothing, if each hold that was watched is there once, and nothing else. */
  async contradictions(postgres: RealPostgres, schema: string, cluster = 'default'): Promise<readonly string[]> {
    const rows = await postgres.query<{ key: string; since: number; until: number; goes_on: boolean }>(
      `SELECT host(ip) || ' ' || uid AS key, since_version::float8 AS since, coalesce(until_version::float8, 'infinity') AS until, goes_on
       FROM ${schema}.ip_history WHERE cluster = $1`,
      [cluster],
    );
    const watched = await postgres.query<{ since: number; until: number }>(
      `SELECT since_version::float8 AS since, until_version::float8 AS until FROM ${schema}.ip_history_watched WHERE cluster = $1`,
      [cluster],
    );
    const overlaps = await postgres.query<{ key: string }>(
      `SELECT host(a.ip) || ' ' || a.uid AS key FROM ${schema}.ip_history AS a JOIN ${schema}.ip_history AS b
         ON a.cluster = b.cluster AND a.ip = b.ip AND a.uid = b.uid AND a.since_version < b.since_version
       WHERE a.cluster = $1 AND a.valid_until > b.valid_from`,
      [cluster],
    );
    const wrong = overlaps.map(({ key }) => `${key} overlaps`);
    const byKey = Map.groupBy(rows, ({ key }) => key);
    const held = Map.groupBy(this.all, ({ key }) => key);
    for (const { key, since, until, goes_on } of rows) {
      const own = held.get(key) ?? [];
      if (!own.some((hold) => hold.since <= since && since < hold.until)) wrong.push(`${key} was not held at ${since}`);
      const isHeld = own.some((hold) => hold.since <= until && until < hold.until);
      if (until === Infinity ? own.at(-1)?.until !== Infinity : isHeld !== goes_on) wrong.push(`${key} until ${until}`);
    }
    for (const { key, since, until } of [...held.values()].flat()) {
      const runs = (byKey.get(key) ?? []).filter((row) => row.since < until && since < row.until && !row.goes_on);
      const isWatched = watched.some((one) => one.since < until && since <= one.until);
      if (runs.length > 1) wrong.push(`${key} since ${since} is there ${runs.length} times`);
      if (runs.length === 0 && isWatched) wrong.push(`${key} since ${since} is lost`);
    }
    return wrong;
  }

  /** How many pods at addresses there are now. */
  get open(): number {
    return this.all.filter(({ until }) => until === Infinity).length;
  }
}
