import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { after, before, describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { Kubectl } from '../support/kubectl.ts';
import { PodwhoisProcess } from '../support/podwhois-process.ts';
import { startPostgres } from '../support/real-postgres.ts';
import type { RealPostgres } from '../support/real-postgres.ts';
import { CLUSTER, realServer, startControlPlane } from '../support/real-servers.ts';
import type { ControlPlane } from '../support/real-servers.ts';
import { until } from '../support/until.ts';
import { deployment, namespace } from './objects.ts';
import { Observer } from './observer.ts';
import { verdict } from './truth.ts';
import type { Facts, Verdict } from './truth.ts';

interface Stretch {
  readonly since: number;
  readonly until: number;
  /** By the wall clock, in milliseconds. */
  readonly untilMs: number;
}

interface Row {
  readonly ip: string;
  readonly uid: string;
  readonly since: number;
  readonly until: number;
  readonly finished: number;
  readonly terminating: number;
  readonly host_network: boolean;
}

describe(
  'the snapshot and its history on a real control plane',
  { ...realServer(...CLUSTER), timeout: 300_000 },
  () => {
    let plane: ControlPlane;
    let kubectl: Kubectl;
    let postgres: RealPostgres;

    before(async () => {
      plane = await startControlPlane();
      kubectl = new Kubectl(plane.kubeconfig);
      postgres = await startPostgres();
    });
    after(async () => {
      await postgres?.down();
      await plane?.down();
    });

    /** Claims at once to have watched. */
    async function start(
      t: TestContext,
      schema: string,
      view: Readonly<Record<string, string>> = {},
    ): Promise<PodwhoisProcess> {
      const began = Date.now();
      const podwhois = await PodwhoisProcess.start({
        KUBECONFIG: plane.kubeconfig,
        ...postgres.environment({ PODWHOIS_SCHEMA: schema }),
        SNAPSHOT: 'true',
        SNAPSHOT_FLUSH_INTERVAL: '200ms',
        SHUTDOWN_DELAY: '0s',
        ...view,
      });
      t.after(async () => await podwhois.stop());
      await until('it claims to watch', async () => ((await stretches(schema)).at(-1)?.untilMs ?? 0) > began);
      return podwhois;
    }

    const stretches = async (schema: string): Promise<readonly Stretch[]> =>
      await postgres
        .query<Stretch>(
          `SELECT since_version::float8 AS since, until_version::float8 AS until, extract(epoch FROM watched_until)::float8 * 1000 AS "untilMs"
         FROM ${schema}.ip_history_watched ORDER BY since_version`,
        )
        .catch(() => []);

    /** SIGTERM. How many milliseconds the end took; there is no hole before it. */
    async function end({ child }: PodwhoisProcess, schema: string): Promise<number> {
      const signalled = Date.now();
      assert.equal(await child.stop('SIGTERM'), '0', child.output());
      const took = Date.now() - signalled;
      const { untilMs = 0 } = (await stretches(schema)).at(-1) ?? {};
      assert.ok(untilMs >= signalled, `${untilMs} is before ${signalled}: ${child.output()}`);
      return took;
    }

    test('SIGTERM while other objects change and no pod does: the API server is asked how far the watch has come', async (t) => {
      const schema = postgres.schema();
      const took: number[] = [];
      for (let i = 0; i < 3; i++) {
        const podwhois = await start(t, schema);
        const writing = new AbortController();
        const written = writeOthers(writing.signal);
        took.push(await end(podwhois, schema));
        writing.abort();
        assert.ok((await written) > 3);
      }
      t.diagnostic(`it ended within ${took.join(', ')} ms`);
    });

    /** Objects that are no pods, until the signal: how many. */
    async function writeOthers(signal: AbortSignal): Promise<number> {
      for (let count = 0; ; count++) {
        if (signal.aborted) return count;
        const body = JSON.stringify({ metadata: { generateName: 'other-' } });
        const headers = { 'content-type': 'application/json' };
        const made = await plane.fetch('/api/v1/namespaces/default/configmaps', { method: 'POST', headers, body });
        assert.equal(made.status, 201, await made.text());
      }
    }

    for (const [view, settings] of [
      ['the whole cluster', {}],
      ['two namespaces', { NAMESPACE: 'default,kube-system' }],
    ] as const) {
      test(`SIGTERM while nothing changes: the time until then is no hole (${view})`, async (t) => {
        const schema = postgres.schema();
        const took: number[] = [];
        for (let i = 0; i < 3; i++) took.push(await end(await start(t, schema, settings), schema));
        t.diagnostic(`it ended within ${took.join(', ')} ms`);
      });
    }

    test('Deployments rolled, addresses handed on, podwhois restarted: what was watched is in the tables as it was', async (t) => {
      const schema = postgres.schema();
      const observer = await Observer.start(kubectl);
      t.after(async () => await observer.stop());
      await kubectl.apply(namespace('rolling'));
      const took: number[] = [];
      for (const version of ['1', '2', '3']) {
        const podwhois = await start(t, schema);
        const places = ['a', 'b'].map((name) => ({ namespace: 'rolling', name }));
        await kubectl.apply(...places.map((place) => deployment(place, 12, version)));
        for (const { name } of places) await kubectl.run('rollout', 'status', `deploy/${name}`, '-n', 'rolling');
        await kubectl.apply(...places.map((place) => deployment(place, 6, version)));
        // While pods are still going.
        if (version !== '3') took.push(await end(podwhois, schema));
      }
      // Also of a Deployment that was scaled down, whose pods may all still be there.
      let before = '';
      const isAtRest = async (): Promise<boolean> => {
        const pods = await observer.pods();
        const former = before;
        before = pods.map(({ uid, version }) => `${uid} ${version}`).join();
        return before === former && pods.every(({ terminating }) => !terminating);
      };
      await until('all is at rest', isAtRest, { everyMs: 2_000, timeoutMs: 60_000 });
      await observer.catchUp();
      const { timeline } = observer;
      await until('all is written', async () => ((await stretches(schema)).at(-1)?.until ?? 0) >= timeline.known, {
        timeoutMs: 60_000,
      });
      assert.ok(timeline.addresses().filter((ip) => timeline.heldBy(ip) > 1).length > 10, 'addresses were handed on');

      const lineOf = ({ uid, version, ips }: Facts): string =>
        [uid, version, ...(ips.size > 0 ? [[...ips].join()] : [])].join(' ');
      const lines = async (): Promise<readonly string[]> => (await observer.pods()).map(lineOf).toSorted();
      const table = async (): Promise<readonly string[]> => {
        const found = await postgres.query<{ line: string }>(
          `SELECT concat_ws(' ', uid, resource_version, (SELECT string_agg(host(ip), ',') FROM unnest(pod_ips) AS ip)) AS line FROM ${schema}.pods`,
        );
        return found.map(({ line }) => line).toSorted();
      };
      // They have a writer and an interval of their own.
      let both: readonly (readonly string[])[] = [];
      await until('the pods are written', async () => {
        both = [await table(), await lines()];
        return isDeepStrictEqual(both[0], both[1]);
      }).catch(() => undefined);
      assert.deepEqual(both[0], both[1]);

      const rows = await postgres.query<Row>(
        `SELECT host(ip) AS ip, uid, host_network, since_version::float8 AS since, coalesce(until_version::float8, 'infinity') AS until,
         coalesce(finished_version::float8, 'infinity') AS finished, coalesce(terminating_version::float8, 'infinity') AS terminating
       FROM ${schema}.ip_history`,
      );
      const byIp = Map.groupBy(rows, ({ ip }) => ip);
      let compared = 0;
      for (const { since, until: last } of await stretches(schema)) {
        for (let version = since; version <= last; version++) {
          if (!timeline.tells(version)) continue;
          for (const ip of timeline.addresses()) {
            const found = identityOf(
              verdict(
                (byIp.get(ip) ?? []).flatMap((row) => factsAt(row, version)),
                ip,
              ),
            );
            assert.equal(found, identityOf(timeline.verdictAt(version, ip)), `${ip} at version ${version}`);
            compared++;
          }
        }
      }
      t.diagnostic(`${compared} answers compared; it ended within ${took.join(', ')} ms`);
      assert.ok(compared > 1_000);
    });
  },
);

const factsAt = (
  { ip, uid, since, until: end, finished, terminating, host_network }: Row,
  version: number,
): readonly Facts[] =>
  since <= version && version < end
    ? [
        {
          uid,
          name: uid,
          version,
          ips: new Set([ip]),
          hostIps: new Set(),
          hostNetwork: host_network,
          terminal: finished <= version,
          terminating: terminating <= version,
        },
      ]
    : [];

/** What a row can tell of it: not that an address is a node's. */
function identityOf(found: Verdict): string {
  if (found.status === 200) return found.uid;
  if (found.status === 409) return found.uids.toSorted().join();
  return found.reason === 'node' ? 'no-pod' : found.reason;
}
