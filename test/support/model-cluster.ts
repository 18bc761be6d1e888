import { compareResourceVersions } from '../../src/resource-version.ts';
import { ApiError } from '../../src/kubernetes/api-error.ts';
import type { Pod, Unreadable } from '../../src/pod.ts';
import type { Batch, ListWatch, WatchOptions } from '../../src/kubernetes/list-watch.ts';
import type { ApiStatus, ListPage, WatchEvent } from '../../src/kubernetes/wire/format.ts';

export interface ModelRequest {
  readonly verb: 'stream' | 'pages' | 'read' | 'watch';
  readonly from: string;
  readonly signal: AbortSignal;
}

interface Entry {
  readonly version: number;
  readonly event: WatchEvent<Pod>;
}

interface State {
  readonly version: number;
  readonly pods: ReadonlyMap<string, Pod>;
  readonly log: readonly Entry[];
}

export function podOf(name: string, version: number | string, fields: Partial<Pod> = {}): Pod {
  return {
    uid: `uid-${name}`,
    namespace: 'default',
    name,
    resourceVersion: String(version),
    labels: {},
    annotations: {},
    podIps: [],
    hostIps: [],
    hostNetwork: false,
    nodeName: '',
    phase: 'Running',
    ready: true,
    deletionTimestamp: undefined,
    serviceAccount: 'default',
    owner: undefined,
    workload: undefined,
    containers: [],
    qosClass: '',
    createdAt: 0,
    startedAt: undefined,
    ...fields,
  };
}

export const GONE: ApiStatus = { code: 410, reason: 'Expired', message: 'too old', retryAfterSeconds: undefined };

/** Waits until the signal is aborted: a connection on which nothing comes. */
export function silence(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });
}

/**
 * An API server and its etcd, as far as list and watch see them: pods, one version counter, the log of events since the
 * last compaction, open watches. Faults are done to it by the test: through `intercept`, which sees every request before it is
 * answered and may throw or wait, and by the methods.
 */
export class ModelCluster implements ListWatch<Pod> {
  pods = new Map<string, Pod>();
  version = 100;
  /** Events at or below this can no longer be watched from. */
  compacted = 0;
  readonly requests: string[] = [];
  intercept: (request: ModelRequest) => Promise<void> | void = () => {};
  /** What a list holds in the place of what there is. */
  listed: (() => { version: number; pods: Iterable<Pod> }) | undefined;
  /** Names of pods whose objects cannot be read. */
  readonly unreadable = new Set<string>();
  /** Whether `sendInitialEvents` is understood, refused (422) or ignored. */
  streams: 'yes' | 'refused' | 'ignored' = 'yes';
  /** The next event is written, and no watch gets it. */
  loseNextEvent = false;
  /**
   * Between what a streamed list begins with and its end; what changes meanwhile comes before the end, as from a watch cache
   * that has to catch up with etcd.
   */
  whileStreaming: (signal: AbortSignal) => Promise<void> | void = () => {};
  onChange = (): void => {};
  #log: Entry[] = [];
  #epoch = 0;
  readonly #watches = new Set<OpenWatch>();

  /** Creates or changes. */
  put(name: string, fields: Partial<Pod> = {}): Pod {
    const known = this.pods.get(name);
    const pod = { ...(known ?? podOf(name, 0)), ...fields, resourceVersion: String(++this.version) };
    this.pods.set(name, pod);
    this.#happened({ type: known ? 'MODIFIED' : 'ADDED', object: pod });
    return pod;
  }

  delete(name: string): void {
    const pod = this.pods.get(name);
    if (!pod) return;
    this.pods.delete(name);
    this.#happened({ type: 'DELETED', object: { ...pod, resourceVersion: String(++this.version) } });
  }

  /** Other resources change. */
  tick(): void {
    this.version++;
  }

  get watches(): number {
    return this.#watches.size;
  }

  /** To every open watch, as it is. */
  send(...events: WatchEvent<Pod>[]): void {
    for (const watch of this.#watches) watch.send(events);
  }

  bookmark(): void {
    this.send({ type: 'BOOKMARK', resourceVersion: String(this.version), initialEventsEnd: false });
  }

  closeWatches(): void {
    for (const watch of this.#watches) watch.end();
  }

  breakWatches(error: Error = new Error('reset')): void {
    for (const watch of this.#watches) watch.end(error);
  }

  compact(): void {
    this.compacted = this.version;
  }

  snapshot(): State {
    return { version: this.version, pods: new Map(this.pods), log: [...this.#log] };
  }

  /** Etcd is restored from a snapshot; the API server that watched the former one goes with it. */
  restore(state: State): void {
    this.breakWatches();
    this.#epoch++;
    this.version = state.version;
    this.pods = new Map(state.pods);
    this.#log = [...state.log];
    this.compacted = Math.min(this.compacted, state.version);
    this.onChange();
  }

  async *watch(from: string, { signal, onOpen }: WatchOptions): AsyncIterable<Batch<Pod>> {
    const epoch = this.#epoch;
    await this.#request({ verb: 'watch', from, signal });
    this.#mustBe(epoch);
    if (compareResourceVersions(from, String(this.compacted)) < 0) {
      onOpen?.();
      yield [{ type: 'ERROR', status: GONE }];
      return;
    }
    const watch = new OpenWatch(signal, Number(from));
    this.#watches.add(watch);
    try {
      onOpen?.();
      const missed = this.#log.filter((entry) => compareResourceVersions(String(entry.version), from) > 0);
      if (missed.length > 0) watch.send(missed.map(({ event }) => event));
      yield* watch.batches();
    } finally {
      this.#watches.delete(watch);
    }
  }

  async *stream(signal: AbortSignal): AsyncIterable<Batch<Pod>> {
    const epoch = this.#epoch;
    await this.#request({ verb: 'stream', from: '', signal });
    this.#mustBe(epoch);
    if (this.streams === 'refused') throw new ApiError(422, { reason: 'Invalid' });
    const isLie = this.listed !== undefined;
    const { version, pods } = this.#list();
    for (const pod of pods) yield [this.#event('ADDED', pod)];
    if (this.streams === 'ignored') await silence(signal);
    await this.whileStreaming(signal);
    signal.throwIfAborted();
    this.#mustBe(epoch);
    const meanwhile = isLie ? [] : this.#log.filter((entry) => entry.version > version);
    yield meanwhile.map(({ event }) => event);
    const end = meanwhile.at(-1)?.version ?? version;
    yield [{ type: 'BOOKMARK', resourceVersion: String(end), initialEventsEnd: true }];
    throw new Error('a list was read beyond its end');
  }

  async *pages(signal: AbortSignal): AsyncIterable<ListPage<Pod>> {
    const epoch = this.#epoch;
    const { version, pods } = this.#list();
    const all = [...pods];
    for (let at = 0; at === 0 || at < all.length; at += 3) {
      await this.#request({ verb: 'pages', from: String(at), signal });
      this.#mustBe(epoch);
      const page = all.slice(at, at + 3);
      yield {
        resourceVersion: String(version),
        continue: at + 3 < all.length ? String(at + 3) : '',
        items: page.filter((pod) => !this.unreadable.has(pod.name)),
        unreadable: page.filter((pod) => this.unreadable.has(pod.name)).map(unreadableOf),
      };
    }
  }

  async read(signal: AbortSignal): Promise<string> {
    const epoch = this.#epoch;
    await this.#request({ verb: 'read', from: '', signal });
    this.#mustBe(epoch);
    return String(this.#list().version);
  }

  #list(): { version: number; pods: Iterable<Pod> } {
    return this.listed?.() ?? { version: this.version, pods: [...this.pods.values()] };
  }

  /** What was being answered when etcd was restored is not answered. */
  #mustBe(epoch: number): void {
    if (this.#epoch !== epoch) throw new Error('reset');
  }

  async #request(request: ModelRequest): Promise<void> {
    this.requests.push(request.from ? `${request.verb} ${request.from}` : request.verb);
    await this.intercept(request);
    request.signal.throwIfAborted();
  }

  #happened({ type, object }: { type: EventType; object: Pod }): void {
    const event = this.#event(type, object);
    this.#log.push({ version: this.version, event });
    if (!this.loseNextEvent) for (const watch of this.#watches) watch.happened(event, this.version);
    this.loseNextEvent = false;
    this.onChange();
  }

  #event(type: EventType, pod: Pod): WatchEvent<Pod> {
    return this.unreadable.has(pod.name)
      ? { type: 'UNREADABLE', eventType: type, object: unreadableOf(pod) }
      : { type, object: pod };
  }
}

type EventType = 'ADDED' | 'MODIFIED' | 'DELETED';

const unreadableOf = ({ uid, namespace, name, podIps }: Pod): Unreadable => ({
  key: uid,
  namespace,
  name,
  ips: podIps,
  reason: 'scripted',
});

class OpenWatch {
  readonly #signal: AbortSignal;
  readonly #queue: Batch<Pod>[] = [];
  #ended: { readonly error: Error | undefined } | undefined;
  #wake = (): void => {};
  #from: number;

  constructor(signal: AbortSignal, from: number) {
    this.#from = from;
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#wake());
  }

  /** A watch from a future version stays silent until that has come. */
  happened(event: WatchEvent<Pod>, version: number): void {
    if (version <= this.#from) return;
    this.#from = version;
    this.send([event]);
  }

  send(batch: Batch<Pod>): void {
    if (this.#ended) return;
    this.#queue.push(batch);
    this.#wake();
  }

  end(error?: Error): void {
    this.#ended ??= { error };
    this.#wake();
  }

  async *batches(): AsyncIterable<Batch<Pod>> {
    for (;;) {
      this.#signal.throwIfAborted();
      const batch = this.#queue.shift();
      if (batch) yield batch;
      else if (this.#ended) {
        if (this.#ended.error) throw this.#ended.error;
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
