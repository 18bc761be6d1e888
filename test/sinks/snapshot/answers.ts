import assert from 'node:assert/strict';
import { answer } from '../../../src/index/answer.ts';
import type { View } from '../../../src/index/answer.ts';
import { parseCidr } from '../../../src/index/ip-address.ts';
import type { PodIndex } from '../../../src/index/pod-index.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';

/** What is said of an address, by SQL or by the lookup; undefined: nobody claims it. */
export interface Told {
  readonly reason: string | null;
  readonly candidates: readonly string[] | null;
  readonly uid: string | null;
}

export const viewOf = (cidrs: readonly string[]): View => ({
  partial: false,
  clusterCidrs: cidrs.map((cidr) => parseCidr(cidr)).filter((cidr) => cidr !== undefined),
});

/** All of the view `pods_by_ip`, by address. */
export async function toldBySql(
  postgres: RealPostgres,
  schema: string,
  cluster: string,
): Promise<ReadonlyMap<string, Told>> {
  const rows = await postgres.query<Told & { ip: string; name: string | null }>(
    `SELECT host(ip) AS ip, reason, candidates, uid, name FROM ${schema}.pods_by_ip WHERE cluster = $1`,
    [cluster],
  );
  for (const { reason, uid, name } of rows) {
    assert.equal(uid === null, reason !== null, 'a pod is told where there is no reason, and only there');
    assert.equal(name === null, uid === null);
  }
  const told = new Map(rows.map(({ ip, reason, candidates, uid }) => [ip, { reason, candidates, uid }]));
  assert.equal(told.size, rows.length, 'one row for an address');
  return told;
}

/** What the view must say by the lookup's own rules. */
export function toldByLookup(index: PodIndex, ip: string, view: View): Told | undefined {
  if (index.holders(ip).length === 0 && !index.isHostIp(ip) && !index.isUnreadable(ip)) return undefined;
  const said = answer(index, ip, view);
  if (said.kind === 'one') return { reason: null, candidates: null, uid: said.pod.uid };
  if (said.kind !== 'ambiguous')
    return { reason: said.kind === 'none' ? said.reason : said.kind, candidates: null, uid: null };
  const candidates = said.candidates.map(({ namespace, name }) => `${namespace}/${name}`);
  return { reason: 'ambiguous', candidates, uid: null };
}
