import type { Pod, ResourceVersion, StringMap } from '../pod.ts';

export interface Change {
  readonly sequence: number;
  readonly type: 'added' | 'modified' | 'deleted';
  /** As it is now; for `deleted` as it was last. */
  readonly pod: Pod;
  readonly previous: Pod | undefined;
  /**
   * By what it is known: the record's version, that of its deletion, or that of the list that was without it. Of one pod they only
   * grow, for what comes after a restore of etcd counts as of a later era (`inEra`).
   */
  readonly version: ResourceVersion;
}

/**
 * What changed, for those who want to follow: they pull, so none of them can hold up the index. A reader takes `sequence`,
 * then a snapshot (`walk`) in the same turn of the event loop, then `since(sequence)` from time to time. A first sync makes no
 * changes: it makes every earlier sequence worthless. Sequences mean nothing to another process.
 */
export interface ChangeFeed {
  /** Of the newest change. */
  readonly sequence: number;
  /** What came after it, the oldest first, at most so many; undefined when that is no longer held, or never was: take a snapshot. */
  since(sequence: number, most?: number): readonly Change[] | undefined;
  /** Wakes once after each burst of changes, also of which objects cannot be read. Returns how to stop that. */
  onChange(wake: () => void): () => void;
}

/** One reader's place in a feed. */
export class FeedReader {
  readonly #feed: ChangeFeed;
  #sequence: number | undefined;

  constructor(feed: ChangeFeed) {
    this.#feed = feed;
  }

  /** What came since the last call; undefined when that is not known, as at the first: take a snapshot in this turn or a later one. */
  next(): readonly Change[] | undefined {
    const since = this.#sequence === undefined ? undefined : this.#feed.since(this.#sequence);
    this.#sequence = this.#feed.sequence;
    return since;
  }
}

/**
 * Labels and annotations are their writers' to choose, up to a megabyte a pod: of their characters the ring keeps at most this
 * many alive, and drops the oldest changes for it. Ordinary pods do not come near (300 characters, 8,192 changes: 5 million).
 */
const MOST_CHARACTERS = 64 * 1024 * 1024;

const weights = new WeakMap<StringMap, number>();

export function charactersOf(map: StringMap): number {
  let count = weights.get(map);
  if (count === undefined) {
    count = 0;
    for (const key of Object.keys(map)) count += key.length + (map[key] ?? '').length;
    weights.set(map, count);
  }
  return count;
}

/** Most changes leave labels and annotations as they were, and then it is the same object. */
function weightOf(pod: Pod, previous: Pod = pod): number {
  let weight = charactersOf(pod.labels) + charactersOf(pod.annotations);
  if (previous.labels !== pod.labels) weight += charactersOf(previous.labels);
  if (previous.annotations !== pod.annotations) weight += charactersOf(previous.annotations);
  return weight;
}

/** A ring of the latest changes. Holds `capacity` of them at most and the records they name, however many readers there are. */
export class ChangeRing implements ChangeFeed {
  readonly #capacity: number;
  readonly #onListenerError: (error: unknown) => void;
  /** The change of sequence s stands at s % capacity. */
  readonly #ring: (Change | undefined)[];
  /** The characters of each. */
  readonly #weights: Float64Array;
  #sequence = 0;
  /** Of the labels and annotations that are held. */
  #characters = 0;
  /** The oldest sequence that `since` still knows what came after. */
  #oldest = 0;
  readonly #listeners = new Set<{ readonly wake: () => void }>();
  #waking = false;

  constructor(capacity: number, onListenerError: (error: unknown) => void) {
    if (!Number.isSafeInteger(capacity) || capacity < 1) throw new RangeError(`a feed of ${capacity} changes`);
    this.#capacity = capacity;
    this.#onListenerError = onListenerError;
    this.#ring = Array.from({ length: capacity });
    this.#weights = new Float64Array(capacity);
  }

  get sequence(): number {
    return this.#sequence;
  }

  /** How many changes are held. */
  get size(): number {
    return this.#sequence - this.#oldest;
  }

  since(sequence: number, most = Infinity): readonly Change[] | undefined {
    if (!Number.isSafeInteger(sequence) || sequence < this.#oldest || sequence > this.#sequence) return undefined;
    const count = Math.min(this.#sequence - sequence, most);
    const from = (sequence + 1) % this.#capacity;
    const changes = this.#ring.slice(from, from + count);
    return (
      changes.length === count ? changes : changes.concat(this.#ring.slice(0, count - changes.length))
    ) as Change[];
  }

  onChange(wake: () => void): () => void {
    const listener = { wake };
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  push(type: Change['type'], pod: Pod, previous: Pod | undefined, version: ResourceVersion): void {
    const sequence = ++this.#sequence;
    const weight = weightOf(pod, previous);
    this.#characters += weight;
    while (this.size > this.#capacity || (this.#characters > MOST_CHARACTERS && this.size > 1)) {
      const oldest = ++this.#oldest % this.#capacity;
      this.#characters -= this.#weights[oldest] ?? 0;
      this.#weights[oldest] = 0;
      this.#ring[oldest] = undefined;
    }
    this.#ring[sequence % this.#capacity] = { sequence, type, pod, previous, version };
    this.#weights[sequence % this.#capacity] = weight;
    this.wakeSoon();
  }

  /** The state is another one, without changes that lead to it: every reader must take a snapshot. */
  restart(): void {
    this.#ring.fill(undefined);
    this.#weights.fill(0);
    this.#characters = 0;
    this.#oldest = ++this.#sequence;
    this.wakeSoon();
  }

  wakeSoon(): void {
    if (this.#waking || this.#listeners.size === 0) return;
    this.#waking = true;
    queueMicrotask(() => {
      this.#waking = false;
      // Those who come during the wake are not of this burst; those who go are gone.
      for (const listener of Array.from(this.#listeners)) {
        if (!this.#listeners.has(listener)) continue;
        try {
          listener.wake();
        } catch (error) {
          this.#onListenerError(error);
        }
      }
    });
  }
}
