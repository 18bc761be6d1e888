import { boolean, duration } from '../../settings/parsers.ts';
import { setting } from '../../settings/schema.ts';
import type { Check, Values } from '../../settings/schema.ts';
import { POSTGRES, POSTGRES_CHECKS } from '../postgres/settings.ts';
import { FAMILIES } from './snapshot-metrics.ts';

const HOUR = 3_600_000;

/** All settings of the snapshot, in the order of the documentation. Always loaded; what they switch on is not. */
export const SNAPSHOT = {
  snapshot: setting({
    variable: 'SNAPSHOT',
    flag: '--snapshot [bool]',
    help: 'keep in Postgres a copy of all pods, one row each, and who had which address when',
    fallback: false,
    fallbackText: 'false',
    example: 'true',
    parse: boolean,
  }),
  snapshotFlushInterval: setting({
    variable: 'SNAPSHOT_FLUSH_INTERVAL',
    flag: '--snapshot-flush-interval <duration>',
    help: 'how far apart writes begin; up to half a second less where one takes long',
    fallback: 3_000,
    fallbackText: '3s',
    example: '3s',
    parse: duration(100, 60_000),
  }),
  snapshotHistoryRetention: setting({
    variable: 'SNAPSHOT_HISTORY_RETENTION',
    flag: '--snapshot-history-retention <duration>',
    help: 'how long who had an address is kept in Postgres; 0: not at all',
    fallback: 720 * HOUR,
    fallbackText: '720h',
    example: '2160h',
    parse: duration(0, 100_000 * HOUR),
  }),
  ...POSTGRES,
} as const;

export type SnapshotSettings = Values<typeof SNAPSHOT>;

/** While the snapshot is off nothing is checked: the variables of Postgres may be there for somebody else. */
const checks = POSTGRES_CHECKS.map(
  (check): Check<typeof SNAPSHOT> =>
    (values) =>
      values.snapshot === true ? check(values) : [],
);

interface Core {
  readonly namespaces: readonly string[];
  readonly labelSelector: string | undefined;
  readonly nodeName: string | undefined;
}

function warnings({ snapshot, namespaces, labelSelector, nodeName }: SnapshotSettings & Core): readonly string[] {
  const partial = namespaces.length > 0 || labelSelector !== undefined || nodeName !== undefined;
  return snapshot && partial
    ? ['the snapshot holds only what is in view, and rows of CLUSTER_NAME that are not in view are deleted']
    : [];
}

/** What `src/capabilities.ts` lists. */
export const snapshot = {
  name: 'snapshot',
  settings: SNAPSHOT,
  checks,
  metrics: FAMILIES,
  isOn: (values: SnapshotSettings): boolean => values.snapshot,
  warnings,
  load: async () => await import('./snapshot.ts'),
} as const;
