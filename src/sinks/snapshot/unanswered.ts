import type { View } from '../../index/answer.ts';
import type { PodIndex } from '../../index/pod-index.ts';
import { qualified } from '../postgres/sql.ts';
import type { Beside } from '../postgres/target.ts';
import { array } from '../postgres/values.ts';

export interface UnansweredOptions {
  readonly schema: string;
  readonly cluster: string;
  readonly index: Pick<PodIndex, 'byUid' | 'unreadableIps'>;
  readonly view: Pick<View, 'clusterCidrs'>;
}

/**
 * Which addresses name no pod in the view `pods_by_ip`, whatever `pods` says of them: the row of `unanswered`. Those of objects that cannot
 * be read are of the moment at which the groups of the flush are taken: of one that is read again after it the new row is not
 * written yet. Of a pod whose row Postgres does not take the old one is there, or none: its addresses are in doubt by what it is now,
 * and by its old row. Those of its node too: it may have been the only one there.
 */
export function unanswered({ schema, cluster, index, view }: UnansweredOptions): Beside {
  const cidrs = array(view.clusterCidrs.map(({ text }) => text));
  // In one order, for it is compared with what is there.
  const sql = `INSERT INTO ${qualified(schema, 'unanswered')} AS t (cluster, cluster_cidrs, unreadable_ips)
    VALUES ($1, $2::inet[], ARRAY(
      SELECT unnest($3::inet[])
      UNION SELECT unnest(p.pod_ips || p.host_ips) FROM ${qualified(schema, 'pods')} AS p WHERE p.cluster = $1 AND p.uid = ANY ($4::text[])
      ORDER BY 1))
    ON CONFLICT (cluster) DO UPDATE SET cluster_cidrs = EXCLUDED.cluster_cidrs, unreadable_ips = EXCLUDED.unreadable_ips
    WHERE (t.cluster_cidrs, t.unreadable_ips) IS DISTINCT FROM (EXCLUDED.cluster_cidrs, EXCLUDED.unreadable_ips)`;
  return () => {
    const unreadable = index.unreadableIps();
    return async (session, refused) => {
      const ips = [...unreadable];
      for (const uid of refused) {
        const pod = index.byUid(uid);
        if (pod) ips.push(...pod.podIps, ...pod.hostIps);
      }
      await session.write(sql, [cluster, cidrs, array(ips), array([...refused])]);
    };
  };
}
