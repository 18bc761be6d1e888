import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * What happens to a connection after a message of Postgres' protocol has passed:
 * - `cut`: both ends lose it. The receiver has the message.
 * - `delay`: what comes next, from either side, comes later.
 * - `late`, of the client's: the client loses it at once, and what it had sent arrives at the server later, when the client has long gone on elsewhere.
 * - `black-hole`: nothing passes any more. The client is told of it after a while, by a reset; the server, which may hold locks, long after.
 */
export const STEP_FAULTS = ['cut', 'delay', 'late', 'black-hole'] as const;
export type StepFault = (typeof STEP_FAULTS)[number];

export type Side = 'client' | 'server';

export interface Step {
  readonly fault: StepFault;
  /** After the message with this number from this side, of those of its connection that came since the proxy was armed; 1 is the first. */
  readonly at: number;
  readonly from: Side;
}

const DELAY_MS = 30;
/** Not the limits of whoever is tested: those are seconds, and have tests of their own. */
const SILENT_MS = { client: 50, server: 250 };

/**
 * A proxy on loopback that reads Postgres' protocol (without TLS) and makes one connection fail at one message. The first connection that
 * comes so far is the one; new ones are left alone until it is armed again.
 */
export class StepProxy {
  readonly #server;
  readonly #connections = new Set<Connection>();
  #armed: Step | undefined;
  #onStrike: () => void = () => {};

  constructor(targetPort: number) {
    this.#server = createServer((client) => {
      const connection = new Connection(client, connect(targetPort, '127.0.0.1'), (step) => this.#strikes(step));
      this.#connections.add(connection);
      connection.onClosed = () => this.#connections.delete(connection);
    });
  }

  static async to(targetPort: number): Promise<StepProxy> {
    const proxy = new StepProxy(targetPort);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Forgets what it was armed with before. `onStrike` is called when it has failed. */
  arm(step: Step, onStrike: () => void = () => {}): void {
    this.#armed = step;
    this.#onStrike = onStrike;
    for (const connection of this.#connections) connection.count = { client: 0, server: 0 };
  }

  /** Nothing fails any more. Whether nothing had failed since it was armed. */
  disarm(): boolean {
    const wasArmed = this.#armed !== undefined;
    this.#armed = undefined;
    return wasArmed;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const connection of this.#connections) connection.destroy();
    await closed;
  }

  #strikes({ from, at }: Omit<Step, 'fault'>): StepFault | undefined {
    const step = this.#armed;
    if (step?.from !== from || step.at !== at) return undefined;
    this.#armed = undefined;
    setImmediate(this.#onStrike);
    return step.fault;
  }
}

class Connection {
  count: Record<Side, number> = { client: 0, server: 0 };
  onClosed: () => void = () => {};
  readonly #sockets: Readonly<Record<Side, Socket>>;
  #fault: StepFault | undefined;
  /** What is to be written, in order. */
  #ahead: Promise<unknown> = Promise.resolve();

  constructor(client: Socket, server: Socket, strikes: (step: Omit<Step, 'fault'>) => StepFault | undefined) {
    this.#sockets = { client, server };
    for (const from of ['client', 'server'] as const) {
      const socket = this.#sockets[from];
      const to = this.#sockets[from === 'client' ? 'server' : 'client'];
      // Only the first message of a client has no type.
      const split = splitter(from === 'client' ? 0 : 1);
      socket.setNoDelay();
      socket.on('error', () => {});
      socket.on('close', () => {
        if (to.closed) this.onClosed();
        // Who is behind a black hole does not hear of the other's end; who is late is still to hear what was sent.
        if (this.#fault === 'black-hole' || (this.#fault === 'late' && from === 'client')) return;
        void this.#ahead.then(() => to.destroySoon());
      });
      socket.on('data', (bytes: Buffer) => {
        for (const message of split(bytes)) {
          const isLost =
            this.#fault === 'cut' || this.#fault === 'black-hole' || (this.#fault === 'late' && from === 'server');
          if (isLost) return;
          const fault = strikes({ from, at: ++this.count[from] });
          if (fault === 'late') this.#fail(fault, from);
          this.#pass(to, message);
          if (fault !== undefined && fault !== 'late') this.#fail(fault, from);
        }
      });
    }
  }

  destroy(): void {
    this.#sockets.client.destroy();
    this.#sockets.server.destroy();
  }

  #pass(to: Socket, message: Buffer): void {
    // Behind a delay everything keeps its order.
    if (this.#fault !== undefined) this.#ahead = this.#ahead.then(() => to.writable && to.write(message));
    else to.write(message);
  }

  #fail(fault: StepFault, from: Side): void {
    const { client, server } = this.#sockets;
    this.#fault = fault;
    if (fault === 'cut') {
      const [here, there] = from === 'client' ? [client, server] : [server, client];
      there.destroySoon();
      here.resetAndDestroy();
    }
    if (fault === 'black-hole') {
      for (const side of ['client', 'server'] as const) {
        const socket = this.#sockets[side];
        const timer = setTimeout(() => socket.resetAndDestroy(), SILENT_MS[side]);
        socket.on('close', () => clearTimeout(timer));
      }
    }
    if (fault === 'delay' || fault === 'late') this.#ahead = sleep(DELAY_MS);
    if (fault === 'late') {
      // What came in the same piece is read first.
      setImmediate(() => {
        client.resetAndDestroy();
        void this.#ahead.then(() => server.destroySoon());
      });
    }
  }
}

/** Cuts a stream of bytes into messages: a type, but for an untyped first one, then a length that counts itself. */
function splitter(typeBytes: 0 | 1): (bytes: Buffer) => Generator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  let offset: number = typeBytes;
  return function* (bytes) {
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    while (rest.length >= offset + 4) {
      const end = offset + rest.readInt32BE(offset);
      if (rest.length < end) return;
      const message = rest.subarray(0, end);
      rest = rest.subarray(end);
      offset = 1;
      yield message;
    }
  };
}

export interface EveryStep {
  readonly proxy: StepProxy;
  readonly fault: StepFault;
  readonly from: Side;
  /** Called before each change, and written whole: makes room for it, so that the change is small. */
  readonly clear?: () => void | Promise<void>;
  /** Makes something to be written; `round` is another one each time. */
  readonly change: (round: number) => void | Promise<void>;
  /** Called when it has failed, before who writes has made up for it. */
  readonly afterwards?: (round: number) => void;
  /** Waits until the database is as it should be, and whoever writes has nothing left to do. */
  readonly settled: () => Promise<void>;
}

const MOST_STEPS = 500;

/** Fails after the first message, after the second, and so on until a write passes untouched. Gives how many messages there were. */
export async function atEveryStep({ proxy, clear, change, settled, afterwards, ...step }: EveryStep): Promise<number> {
  for (let at = 1; at <= MOST_STEPS; at++) {
    await clear?.();
    await settled();
    proxy.arm({ ...step, at }, () => afterwards?.(at));
    await change(at);
    await settled().catch((error: unknown) => {
      throw new Error(`after message ${at} of the ${step.from}: ${step.fault}`, { cause: error });
    });
    // Else it would fail later, under whatever comes next.
    if (proxy.disarm()) return at - 1;
  }
  return assert.fail(`a write of more than ${MOST_STEPS} messages`);
}
