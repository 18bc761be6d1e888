import { hash } from 'node:crypto';

/** What of a cluster is watched (rule A10). */
export interface InView {
  readonly namespaces?: readonly string[] | undefined;
  readonly labelSelector?: string | undefined;
  readonly nodeName?: string | undefined;
}

/** As it stands in every row, and in the rows' indexes. */
const LONGEST = 253;

/**
 * What stands in the history's column `cluster`. Who watches a part of a cluster has a history of his own: that he was watching, and had not
 * heard of a pod, says nothing of one that he cannot see, and must not end it.
 */
export function historyScope(cluster: string, { namespaces = [], labelSelector, nodeName }: InView): string {
  const restrictions = [
    ...(namespaces.length === 0 ? [] : [`NAMESPACE=${[...new Set(namespaces)].toSorted().join(',')}`]),
    ...(labelSelector === undefined ? [] : [`LABEL_SELECTOR=${labelSelector}`]),
    ...(nodeName === undefined ? [] : [`NODE_NAME=${nodeName}`]),
  ].join(' ');
  if (restrictions === '') return cluster;
  const digest = hash('sha256', restrictions, 'hex').slice(0, 32);
  return `${cluster} ${restrictions.length <= LONGEST ? restrictions : `part ${digest}`}`;
}
