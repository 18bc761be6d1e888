import { get } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { once } from 'node:events';

export interface StreamEvent {
  readonly type: string;
  readonly id: string | undefined;
  readonly data: Record<string, unknown>;
}

/** A reader of server-sent events, as the standard tells it to read. */
export class EventReader {
  readonly response: IncomingMessage;
  /** As the browser's EventSource keeps it. */
  lastEventId = '';
  readonly comments: string[] = [];
  readonly #events: StreamEvent[] = [];
  #wake = (): void => undefined;
  #ended = false;
  #rest = '';

  constructor(response: IncomingMessage) {
    this.response = response;
    response.setEncoding('utf8');
    response.on('data', (text: string) => this.#read(text));
    response.on('error', () => undefined);
    response.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  static async open(url: string, headers: Record<string, string> = {}): Promise<EventReader> {
    const request = get(url, { headers, agent: false });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return new EventReader(response);
  }

  /** undefined: the stream has ended. */
  async next(): Promise<StreamEvent | undefined> {
    for (;;) {
      const event = this.#events.shift();
      if (event || this.#ended) return event;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Up to and with the first event that fits, as `type name`. */
  async until(type: string, name?: string): Promise<string[]> {
    const seen: string[] = [];
    for (;;) {
      const event = await this.next();
      if (!event) throw new Error(`the stream ended after ${seen.join(', ')}`);
      seen.push(shown(event));
      if (event.type === type && (name === undefined || event.data['name'] === name)) return seen;
    }
  }

  close(): void {
    this.response.destroy();
  }

  #read(text: string): void {
    const blocks = (this.#rest + text).split('\n\n');
    this.#rest = blocks.pop() ?? '';
    for (const block of blocks) {
      let [type, id, data]: (string | undefined)[] = [];
      for (const line of block.split('\n')) {
        if (line.startsWith(':')) this.comments.push(line.slice(1).trim());
        else if (line.startsWith('event: ')) type = line.slice(7);
        else if (line.startsWith('id: ')) id = line.slice(4);
        else if (line.startsWith('data: ') && data === undefined) data = line.slice(6);
        else throw new Error(`not a line of an event: ${line}`);
      }
      if (id !== undefined) this.lastEventId = id;
      if (data !== undefined && type !== undefined) {
        this.#events.push({ type, id, data: JSON.parse(data) as Record<string, unknown> });
      }
    }
    this.#wake();
  }
}

const shown = ({ type, data }: StreamEvent): string => (type === 'sync' ? type : `${type} ${String(data['name'])}`);
