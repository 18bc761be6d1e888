import type { ServerResponse } from 'node:http';
import type { Change } from '../index/change-feed.ts';
import type { Pod } from '../pod.ts';
import type { Pods } from './context.ts';
import type { PodFilter } from './pod-filter.ts';
import type { PodJson } from './pod-json.ts';
import { isAfter } from './position.ts';
import type { Position } from './position.ts';
import { walk, workPerTurn } from './scan.ts';
import type { Turns } from '../turns.ts';

export interface PodStreamOptions {
  readonly index: Pods;
  readonly turns: Turns;
  readonly podJson: PodJson;
  readonly filter: PodFilter;
  readonly perTurn: number;
  /** Of text, in one turn. */
  readonly pieceBytes: number;
  /** Bytes that may wait for the reader. */
  readonly buffer: number;
  /** Tells this process's ids from another's. */
  readonly epoch: string;
  readonly lastEventId: string | undefined;
  readonly response: ServerResponse;
  readonly signal: AbortSignal;
}

/** The id of what is sent before `sync`: it names no place to go on from, so that whoever comes back with it starts anew. */
const NO_PLACE = 'snapshot';

/**
 * One reader of the stream of pods. It pulls changes from the index's ring at its own pace and keeps nothing itself: a reader that
 * falls behind further than the ring reaches is dropped. While the snapshot is being sent, in the index's order, changes are sent
 * of what has been sent already, and not of what will be: so at `sync` the reader holds exactly what the index holds.
 */
export class PodStream {
  readonly #parts: PodStreamOptions;
  /** The newest change that the reader knows of. */
  #sequence: number;
  /** The snapshot's last pod; undefined: none yet; 'end': all of it is sent, or none was needed. */
  #position: Position | 'end' | undefined;
  #synced = false;
  #resumed = false;
  #wake: (() => void) | undefined;
  #blocked = false;

  constructor(parts: PodStreamOptions) {
    this.#parts = parts;
    const { feed, resumed } = this.#resume(parts);
    this.#sequence = feed;
    this.#resumed = resumed;
    if (resumed) this.#position = 'end';
  }

  /** Sends until the reader is gone (`closed`) or too slow (`overtaken`). */
  async run(): Promise<'closed' | 'overtaken'> {
    const { index, response, signal, turns, buffer } = this.#parts;
    const wake = (): void => this.#wake?.();
    const unsubscribe = index.changes.onChange(wake);
    response.on('drain', () => {
      this.#blocked = false;
      wake();
    });
    signal.addEventListener('abort', wake);
    try {
      while (!signal.aborted) {
        const more = this.#send();
        if (more === undefined) return 'overtaken';
        if (response.writableLength > buffer) await this.#drained();
        else if (!more && !signal.aborted) await this.#woken();
        // A change wakes all streams, and each does its piece in a turn of its own.
        await turns.next();
      }
      return 'closed';
    } finally {
      unsubscribe();
    }
  }

  /** Called at intervals. False: what was already waiting for the reader the last time still is. */
  heartbeat(age: string): boolean {
    if (this.#blocked) return false;
    this.#blocked = this.#parts.response.writableNeedDrain;
    // An id without data is no event, and moves on the place from which the reader comes back.
    const id = this.#synced ? `id: ${this.#id(this.#sequence)}\n` : '';
    if (!this.#blocked) this.#parts.response.write(`: age ${age}\n${id}\n`);
    return true;
  }

  /** One turn's work; whether there is more; undefined: the ring no longer reaches back to the reader. */
  #send(): boolean | undefined {
    const { index, filter, response, pieceBytes, podJson } = this.#parts;
    const perTurn = workPerTurn(this.#parts.perTurn, filter);
    const changes = index.changes.since(this.#sequence, perTurn);
    if (!changes) return undefined;
    let text = '';
    for (const change of changes) {
      if (text.length > pieceBytes) break;
      this.#sequence = change.sequence;
      if (this.#position === 'end' || (this.#position && !isAfter(change.pod, this.#position)))
        text += this.#change(change);
    }
    const behind = this.#sequence !== index.changes.sequence;
    if (!behind && this.#position !== 'end') {
      const walking = walk(index, filter, this.#position)[Symbol.iterator]();
      for (let looked = 0; looked < perTurn && text.length <= pieceBytes; looked++) {
        const { done, value: pod } = walking.next();
        if (done) {
          this.#position = 'end';
          break;
        }
        this.#position = pod;
        if (filter.matches(pod)) text += this.#event('added', pod);
      }
    }
    if (!behind && !this.#synced && this.#position === 'end') {
      this.#synced = true;
      text += `event: sync\nid: ${this.#id(this.#sequence)}\ndata: {"resumed":${this.#resumed}${podJson.view}}\n\n`;
    }
    if (text !== '') response.write(text);
    return behind || this.#position !== 'end';
  }

  #change({ type, pod, previous, sequence }: Change): string {
    const { filter } = this.#parts;
    const was = type !== 'added' && filter.matches(previous ?? pod);
    const is = type !== 'deleted' && filter.matches(pod);
    const id = this.#synced || this.#resumed ? this.#id(sequence) : NO_PLACE;
    if (is) return this.#event(was ? 'modified' : 'added', pod, id);
    return was ? this.#event('deleted', pod, id) : '';
  }

  #event(type: 'added' | 'modified' | 'deleted', pod: Pod, id: string = NO_PLACE): string {
    return `event: ${type}\nid: ${id}\ndata: ${this.#parts.podJson.of(pod)}\n\n`;
  }

  #id(sequence: number): string {
    return `${this.#parts.epoch}-${sequence}`;
  }

  #resume({ index, epoch, lastEventId }: PodStreamOptions): { feed: number; resumed: boolean } {
    const { sequence } = index.changes;
    const digits = lastEventId?.startsWith(`${epoch}-`) ? lastEventId.slice(epoch.length + 1) : '';
    const known = /^[0-9]{1,15}$/.test(digits) ? Number(digits) : Infinity;
    const resumed = known <= sequence && index.changes.since(known) !== undefined;
    return { feed: resumed ? known : sequence, resumed };
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }

  async #drained(): Promise<void> {
    const { response, signal } = this.#parts;
    while (response.writableNeedDrain && !signal.aborted) await this.#woken();
  }
}
