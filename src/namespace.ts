import type { ResourceVersion, StringMap } from './pod.ts';

/** The domain: what is kept of a namespace, and nothing else. Read-only for everybody. */
export interface Namespace {
  readonly uid: string;
  /** Always empty: a namespace lies in none. */
  readonly namespace: '';
  readonly name: string;
  readonly resourceVersion: ResourceVersion;
  readonly labels: StringMap;
}
