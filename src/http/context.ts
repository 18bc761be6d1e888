import type { Logger } from 'pino';
import type { View } from '../index/answer.ts';
import type { Then } from '../index/history/answer-then.ts';
import type { Tenure } from '../index/history/interval.ts';
import type { PodIndex } from '../index/pod-index.ts';
import type { Metrics } from '../metrics.ts';
import type { Certificate } from './certificate.ts';
import type { Limits } from './limits.ts';

/** What this room asks of its surroundings. */

/** How true the index is now; over several slices: the oldest (rule A10). */
export interface Source {
  /** Everything in view has been read once. */
  readonly synced: boolean;
  /** Rule C1; Infinity until synced. */
  ageMs(): number;
  readonly resourceVersion: string;
  readonly partial: boolean;
  details(): readonly Detail[];
}

/** How true one slice is now. */
export interface Detail {
  readonly slice: string;
  readonly synced: boolean;
  readonly ageMs: number;
  readonly resourceVersion: string;
  /** What is wrong with the watch, in a sentence. */
  readonly problem: string | undefined;
}

/** A line of `/ready?verbose` that makes podwhois no less ready. Anybody may read it. */
export interface Remark {
  /** The setting that it is about. */
  readonly name: string;
  readonly ok: boolean;
  readonly message: string;
}

export interface Clock {
  /** Milliseconds, monotonic. */
  now(): number;
  /** May end early, in whichever way, when the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** What may be replaced while the server runs. */
export interface Replaceable<T> {
  readonly value: T;
  onChange(listener: (value: T) => void): void;
}

/** Of `src/settings.ts`; durations are milliseconds. */
export interface HttpSettings {
  readonly port: number;
  /** Of the listener that carries open paths only; undefined: there is none. */
  readonly preflightPort?: number | undefined;
  /** undefined: all addresses, of IPv6 too where there is such. */
  readonly host: string | undefined;
  readonly readyMaxStaleness: number;
  readonly serveMaxStaleness: number;
  /** How long a stopping server goes on serving while it says that it is not ready. */
  readonly shutdownDelay: number;
}

export type Pods = Pick<
  PodIndex,
  | 'size'
  | 'addresses'
  | 'unreadable'
  | 'byUid'
  | 'byName'
  | 'byContainerId'
  | 'holders'
  | 'isHostIp'
  | 'isUnreadable'
  | 'isSetAside'
  | 'walk'
  | 'changes'
>;

/**
 * Who had an address when. Times are milliseconds since 1970. What memory knows is answered at once; promises, which never reject, are
 * of what must be read elsewhere.
 */
export interface Past {
  /** Everything in view has been written down once. */
  readonly isReady: boolean;
  /** Since when everything is known that is not in a hole. */
  readonly reach: number;
  now(): number;
  /** One answer for each question, in their order. */
  at(questions: readonly PastQuestion[]): readonly Recalled[] | Promise<readonly Recalled[]>;
  /** undefined: it cannot be read now. */
  search(search: TenureSearch): FoundTenures | Promise<FoundTenures | undefined>;
}

/** A canonical address, and a time not later than `now`. */
export interface PastQuestion {
  readonly ip: string;
  readonly time: number;
}

/** `unavailable`: it is not in memory, and cannot be read elsewhere now. */
export type Recalled = Then | { readonly kind: 'unavailable' };

/** Of one address, or of one pod. */
export type Whose =
  { readonly ip: string } | { readonly uid: string } | { readonly namespace: string; readonly name: string };

export interface TenureSearch {
  readonly whose: Whose;
  /** What touches [since, until); more may be found, and left to be sorted out. */
  readonly since: number;
  readonly until: number;
  /** Only what comes after it. */
  readonly after: TenureKey | undefined;
  /** How many at least, where there are so many; of what is more the first in order must not be missing. */
  readonly size: number;
}

/** Tenures in order: by their beginning, and no two alike. */
export type TenureKey = readonly [from: number, ip: string, uid: string];

export interface FoundTenures {
  /** undefined for what was looked at and is none, so that a long search can be cut into pieces. In no order. */
  readonly tenures: Iterable<Tenure | undefined>;
  /** The times in which nobody was watching, and that touch [since, until). */
  readonly holes: readonly { readonly from: number; readonly until: number | undefined }[];
}

export interface ServerOptions {
  readonly index: Pods;
  readonly source: Source;
  /** What `/ready?verbose` lists besides the pods; `/ready` counts what is needed. No lookup depends on it. */
  readonly besides?: () => readonly (Detail & { readonly needed: boolean })[];
  /** What `/ready?verbose` lists besides, and `/ready` does not count. */
  readonly remarks?: () => readonly Remark[];
  readonly view: View;
  /** undefined: nothing is written down, and questions about the past are not answered. */
  readonly past?: Past;
  readonly settings: HttpSettings;
  /** undefined: everybody may read. */
  readonly tokens?: Replaceable<{ accepts(authorization: string | undefined): boolean }> | undefined;
  /** undefined: plain HTTP. */
  readonly tls?: Replaceable<Certificate> | undefined;
  readonly limits?: Partial<Limits>;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** For the OpenAPI document. */
  readonly version: string;
}
