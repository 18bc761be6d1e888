import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';

interface Told {
  readonly uid: string;
  readonly resource_version: string;
}

/** A reader of `/pods/stream` that keeps what it is told, and comes back from where it was when it is cut off. */
export class StreamFollower {
  readonly #url: string;
  #cut = new AbortController();
  #stopped = false;
  #lastEventId: string | undefined;
  readonly #running: Promise<void>;
  /** By uid: the version. */
  pods = new Map<string, string>();
  /** How often it was told that it could go on from where it was. */
  resumed = 0;
  /** What contradicted what had been told before. */
  readonly faults: string[] = [];

  constructor(url: string) {
    this.#url = url;
    this.#running = this.#run();
  }

  cut(): void {
    this.#cut.abort();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.cut();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      this.#cut = new AbortController();
      await this.#follow(this.#cut.signal).catch((error: unknown) => {
        if (!this.#cut.signal.aborted) this.#fault(String(error));
      });
      await sleep(20);
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const headers = this.#lastEventId === undefined ? {} : { 'last-event-id': this.#lastEventId };
    const { body } = await request(`${this.#url}/pods/stream`, { headers, signal, bodyTimeout: 0 });
    const snapshot = new Map<string, string>();
    let target = this.#lastEventId === undefined ? snapshot : undefined;
    let rest = '';
    for await (const chunk of body.setEncoding('utf8')) {
      const events = (rest + String(chunk)).split('\n\n');
      rest = events.pop() ?? '';
      for (const event of events) {
        const field = (name: string): string | undefined => new RegExp(`^${name}: (.*)$`, 'm').exec(event)?.[1];
        const id = field('id');
        const [type, data] = [field('event'), field('data')];
        target ??= id === 'snapshot' ? snapshot : this.pods; // the first event tells whether it goes on
        if (type === 'sync' && data !== undefined) {
          if ((JSON.parse(data) as { readonly resumed: boolean }).resumed) this.resumed++;
          else this.pods = target = snapshot;
        } else if (type !== undefined && data !== undefined) this.#take(target, type, JSON.parse(data) as Told);
        if (id !== undefined) this.#lastEventId = id;
      }
    }
  }

  /** The first few say enough. */
  #fault(what: string): void {
    if (this.faults.length < 5) this.faults.push(what);
  }

  #take(pods: Map<string, string>, type: string, { uid, resource_version: version }: Told): void {
    const before = pods.get(uid);
    if ((type === 'added') !== (before === undefined)) this.#fault(`${type} of ${uid}, which was at ${before}`);
    if (before !== undefined && Number(version) < Number(before)) this.#fault(`${uid} went back to ${version}`);
    if (type === 'deleted') pods.delete(uid);
    else pods.set(uid, version);
  }
}
