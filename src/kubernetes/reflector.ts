import type { Logger } from 'pino';
import { Complaints } from './complaints.ts';
import { ConsistentReads } from './consistent-reads.ts';
import { Lists } from './lists.ts';
import { Progress } from './progress.ts';
import { SetAside } from './set-aside.ts';
import { Watches } from './watches.ts';
import type { ResourceVersion } from '../pod.ts';
import type { ApiObject } from './api-object.ts';
import type { Clock } from './clock.ts';
import type { ListWatch } from './list-watch.ts';
import type { ReflectorMetrics } from './reflector-metrics.ts';
import type { Slice } from './slice.ts';
import type { SliceStore } from './store.ts';

export interface ReflectorOptions<T extends ApiObject> {
  /** For people: `pods at cluster scope`, `pods in namespace shop`. */
  readonly what: string;
  readonly listWatch: ListWatch<T>;
  readonly store: SliceStore<T>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: ReflectorMetrics;
  readonly readyMaxStalenessMs: number;
  readonly resyncIntervalMs: number;
  /** The addresses of an object that the store would not take (rule B6). */
  readonly addressesOf?: (object: T) => readonly string[];
}

const AFTER_MISTAKE_MS = 1_000;
const PROOF_STEP_MS = 20;

/**
 * Keeps one slice of a store as the API server has it, whatever happens (rules B, C1). Three loops, which share `Progress`
 * and ask each other:
 *
 *     lists    start ─► fetch beside what is served ─► judge ─► commit ─► wait (resync interval, or asked)
 *                            ▲ error, older (B8), unreadable (B6), shrunken (B9): back off, fetch again │
 *                            └───────────────────────────────────────────────────────────────────────────┘
 *     watches  wait for a list ─► watch from `resumeFrom` ─► closed cleanly: at once again (B3)
 *                    ▲                                    ├► error, silence: back off, again from where it was; then a read (B8)
 *                    └─────────── 410, corrupt: ask for a list ◄┘ (B4, B6); accepted after an outage: too, and go on (decision 6)
 *     reads    every third of READY_MAX_STALENESS and after a failed watch ─► older than what was seen (B8): ask for a list
 *
 * Why no interleaving of a list with a watch is wrong: see `Progress`' invariant and `SliceStore`'s promise that a list at version
 * L supersedes every event up to L.
 * - A list ends while a watch runs, reconnects or backs off: the watch goes on from the later of both versions.
 * - A 410 while a list is under way: that list will do; the watch starts from it, or gets the next 410.
 * - Something corrupt while a list is under way: that list may be older than what was corrupt, so it begins again.
 * - Watching goes on after an outage while a list is under way: that list may be of the history before, so it begins again.
 * - Versions went backwards while a list is under way: it may be of the former history, so it begins again; when the
 *   rebuild is committed, the running watch is cut and starts from there.
 * Nothing but its signal ends it.
 */
export class Reflector<T extends ApiObject> {
  readonly #slice: Slice<T>;
  readonly #lists: Lists<T>;
  readonly #watches: Watches<T>;
  readonly #reads: ConsistentReads<T>;
  #synced = false;

  constructor(options: ReflectorOptions<T>) {
    const { what, listWatch, store, clock, metrics, addressesOf = () => [] } = options;
    const log = options.log.child({ component: 'reflector', what });
    const complaints = new Complaints(log, clock);
    const setAside = new SetAside(log, metrics);
    const progress = new Progress();
    const slice = { what, listWatch, store, addressesOf, clock, log, metrics, progress, complaints, setAside };
    const third = options.readyMaxStalenessMs / 3;
    this.#slice = slice;
    this.#lists = new Lists({
      slice,
      resyncIntervalMs: options.resyncIntervalMs,
      isWatching: () => this.#watches.isOpen,
      onCommit: (rebuilt) => {
        if (!this.#synced) this.#reads.soon();
        this.#synced = true;
        this.#watches.listed(rebuilt);
      },
    });
    this.#watches = new Watches({
      slice,
      watchMs: third,
      requestList: (cause) => this.#lists.request(cause),
      requestAnotherList: (cause) => this.#lists.requestAnother(cause),
      isPaced: () => this.#lists.isPaced,
      onRecovered: () => this.#reads.soon(),
    });
    this.#reads = new ConsistentReads({
      slice,
      everyMs: third,
      requestList: (cause) => this.#lists.request(cause),
      onRecovered: () => {
        this.#lists.retrySoon();
        this.#watches.retrySoon();
      },
    });
  }

  get what(): string {
    return this.#slice.what;
  }

  /** A list has been committed once. */
  get synced(): boolean {
    return this.#synced;
  }

  /** Rule C1; Infinity until synced. */
  ageMs(): number {
    return this.#slice.progress.ageMs(this.#slice.clock.now());
  }

  get resourceVersion(): ResourceVersion {
    return this.#slice.progress.version;
  }

  /** What is wrong now, as a sentence. */
  get problem(): string | undefined {
    return this.#slice.complaints.sentences;
  }

  /**
   * Rule C1, now: resolves when everything that was so at this call is in the store, or when the signal is aborted. Rejects when the
   * consistent read fails. For `run` to be running.
   */
  async prove(signal: AbortSignal): Promise<void> {
    const { clock } = this.#slice;
    const since = clock.now();
    const isProven = (): boolean => this.ageMs() <= clock.now() - since;
    await this.#reads.read(signal);
    if (isProven()) return;
    this.#watches.askHowFar();
    while (!isProven() && !signal.aborted) await clock.sleep(PROOF_STEP_MS, signal);
  }

  /** Resolves when the signal is aborted; no timer and no connection is left then. */
  async run(signal: AbortSignal): Promise<void> {
    const loops = [this.#lists, this.#watches, this.#reads];
    await Promise.all(loops.map((loop) => this.#forEver(loop, signal)));
  }

  /** Faults are handled in the loops. What comes out of one is a mistake in it, and must not end it either (rule B5). */
  async #forEver(loop: { run(signal: AbortSignal): Promise<void> }, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await loop.run(signal);
      } catch (err) {
        this.#slice.log.error({ err }, 'a loop of the reflector failed and begins again');
        await this.#slice.clock.sleep(AFTER_MISTAKE_MS, signal);
      }
    }
  }
}
