import type { ByteFaults } from './body.ts';
import type { ObjectsRequest, Verb } from './api-request.ts';

/** Faults of one answer. Several rules that fit the same request add up; of the same field the newest rule's counts. */
export interface FaultActions extends ByteFaults {
  /** Waits before answering. */
  readonly delayMs?: number;
  /** Never answers; the connection stays. */
  readonly withhold?: true;
  /** Breaks the connection off instead of answering. */
  readonly reset?: true;
  /** Answers this HTTP status with a Status body. */
  readonly status?: number;
  readonly reason?: string;
  readonly message?: string;
  /** The Retry-After header, in seconds (with `status`). */
  readonly retryAfterSeconds?: number;
  /** Only JSON is offered: protobuf alone gets 406. */
  readonly jsonOnly?: true;
  /** Objects come whole, also when only their metadata was asked for. */
  readonly wholeObjects?: true;
  /** An old server: `ignore` watches without initial events' end, `refuse` answers 422 as a server without the WatchList feature. */
  readonly sendInitialEvents?: 'ignore' | 'refuse';

  /** A list or sync answers with the state of this version (a lagging replica); it must still be in the history. */
  readonly staleVersion?: number;
  /** A list or sync has no objects. */
  readonly empty?: true;
  /** A list or sync has only this many objects. */
  readonly keep?: number;
  /** This object cannot be read: `no-uid` lacks its uid, `broken` has wrong types (JSON) or a field that ends too late (protobuf). */
  readonly unreadable?: { readonly namespace: string; readonly name: string; readonly how: 'no-uid' | 'broken' };

  /** The n-th event of a watch (1 is the first; initial events and bookmarks do not count) is left out. */
  readonly dropEvent?: number;
  /** The n-th event comes twice. */
  readonly duplicateEvent?: number;
  /** The n-th event comes after the one behind it. */
  readonly reorderEvent?: number;
  /** The n-th event has a type nobody knows. */
  readonly unknownEvent?: number;
  /** After so many events an in-stream ERROR with this code comes, and the watch ends. */
  readonly errorAfter?: {
    readonly events: number;
    readonly code: number;
    readonly reason?: string;
    readonly message?: string;
  };
  /** No events at all, only bookmarks. */
  readonly bookmarksOnly?: true;
  /** The watch ends cleanly after this time. */
  readonly closeAfterMs?: number;
}

/** Reading one object by name always works. */
export type FaultyVerb = Exclude<Verb, 'get'>;

export interface FaultRule extends FaultActions {
  /** Requests for what; default pods. */
  readonly resource?: ObjectsRequest['resource'];
  /** Which requests; default all. */
  readonly on?: FaultyVerb | readonly FaultyVerb[];
  /** Further conditions. */
  readonly where?: (request: ObjectsRequest) => boolean;
  /** The first fitting request it applies to, 1 being the next one. */
  readonly nth?: number;
  /** To how many requests it applies; default 1. */
  readonly times?: number;
}

/** A rule that was added. */
export interface Fault {
  /** How many requests it was applied to so far. */
  readonly hits: number;
  /** Resolves when it was applied for the first time. */
  readonly applied: Promise<void>;
  remove(): void;
}

/** The faults to come, by script. */
export class Faults {
  readonly #rules = new Map<FaultRule, (request: ObjectsRequest) => boolean>();

  add(rule: FaultRule): Fault {
    const { resource = 'pods', on, where, nth = 1, times = 1 } = rule;
    const verbs = on === undefined ? undefined : new Set<Verb>(typeof on === 'string' ? [on] : on);
    const applied = Promise.withResolvers<void>();
    let seen = 0;
    let hits = 0;
    this.#rules.set(rule, (request) => {
      if (request.resource !== resource) return false;
      if (verbs && !verbs.has(request.verb)) return false;
      if (where && !where(request)) return false;
      seen++;
      if (seen < nth || hits >= times) return false;
      hits++;
      applied.resolve();
      return true;
    });
    return {
      get hits() {
        return hits;
      },
      applied: applied.promise,
      remove: () => void this.#rules.delete(rule),
    };
  }

  clear(): void {
    this.#rules.clear();
  }

  /** What is to happen to this request. Each call counts as one request. */
  take(request: ObjectsRequest): FaultActions {
    let actions: FaultActions = {};
    for (const [rule, applies] of this.#rules) if (applies(request)) actions = { ...actions, ...rule };
    return actions;
  }
}
