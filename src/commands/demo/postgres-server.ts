import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import {
  COPY_IN_RESPONSE,
  copyFrom,
  failing,
  fatal,
  greeting,
  isIdle,
  messagesOf,
  parameterStatus,
  simpleQuery,
  SYNC,
  withoutCopyResponse,
} from './postgres-protocol.ts';
import type { Message } from './postgres-protocol.ts';

/** One session of Postgres; it is told one thing at a time. */
export interface Session {
  /** Its `server_version`. */
  readonly version: string;
  /** Takes whole messages of the protocol and resolves with all that is answered. */
  run(messages: Buffer): Promise<Buffer>;
}

export interface PostgresServer {
  readonly port: number;
  close(): Promise<void>;
}

/** What a client is told at the beginning; the version besides. */
const PARAMETERS = {
  server_encoding: 'UTF8',
  client_encoding: 'UTF8',
  DateStyle: 'ISO, MDY',
  TimeZone: 'UTC',
  integer_datetimes: 'on',
  standard_conforming_strings: 'on',
  is_superuser: 'on',
};

/** A transaction that others wait for may stand still for so long: less than they wait. */
const IDLE_MS = 10_000;

const COPY_REFUSED = 'COPY FROM STDIN must stand alone here, and not be prepared';

/**
 * Lets any number of clients use one session, on loopback. They take turns: whoever begins a transaction, or something that is not
 * synchronised yet, has the session to itself until that is over, so that nothing of one client gets into the transaction of
 * another. As with a pooler in transaction mode, what a session remembers beyond that (SET, prepared statements) is everybody's, and is
 * forgotten when a client leaves. Those who come before there is a session are let in, and wait with their first statement.
 */
export async function servePostgres(
  port: number,
  session: Promise<Session>,
  idleMs: number = IDLE_MS,
): Promise<PostgresServer> {
  const turns = new Turns();
  let begun: Session | undefined;
  session.then(
    (one) => void (begun = one),
    () => {}, // whoever makes it tells
  );
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}); // a client that went away is nothing to report
    socket.once('close', () => sockets.delete(socket));
    // What goes wrong with the session is told by whoever made it.
    void new Connection({ socket, turns, idleMs, version: () => begun?.version })
      .serve(session)
      .catch(() => undefined)
      .finally(() => socket.destroy());
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Lets one in after the other, in the order they came. */
class Turns {
  #last: Promise<void> = Promise.resolve();
  waiting = 0;

  /** Resolves with what is to be called at the end of the turn. */
  async enter(): Promise<() => void> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    this.waiting++;
    await before;
    this.waiting--;
    return resolve;
  }
}

interface Client {
  readonly socket: Socket;
  readonly turns: Turns;
  readonly idleMs: number;
  /** undefined: not known yet. */
  readonly version: () => string | undefined;
}

class Connection {
  readonly #socket: Socket;
  readonly #turns: Turns;
  readonly #idleMs: number;
  readonly #version: () => string | undefined;
  /** Not handed on yet. */
  #batch: Buffer[] = [];
  #isCopying = false;
  /** Ends its turn; undefined: it has none. */
  #leave: (() => void) | undefined;

  constructor({ socket, turns, idleMs, version }: Client) {
    this.#socket = socket;
    this.#turns = turns;
    this.#idleMs = idleMs;
    this.#version = version;
  }

  /** Resolves when the client has gone, and nothing of it is left in the session. */
  async serve(starting: Promise<Session>): Promise<void> {
    const socket = this.#socket as AsyncIterable<Buffer>;
    let session: Session | undefined;
    let idle: NodeJS.Timeout | undefined;
    try {
      for await (const message of messagesOf(socket)) {
        clearInterval(idle);
        if (message.type === 'X' || message.type === 'cancel') break;
        if (message.type === 'tls') this.#socket.write('N');
        else if (message.type === 'startup') {
          const version = this.#version();
          this.#socket.write(greeting({ ...PARAMETERS, ...(version !== undefined && { server_version: version }) }));
        } else {
          if (session === undefined) {
            session = await starting;
            this.#socket.write(parameterStatus({ server_version: session.version }));
          }
          await this.#take(message, session);
          if (this.#leave) idle = setInterval(() => this.#endIfAwaited(), this.#idleMs);
        }
      }
    } finally {
      clearInterval(idle);
      if (session !== undefined) await this.#forget(session);
    }
  }

  async #take(message: Message, session: Session): Promise<void> {
    const { type } = message;
    const copies = copyFrom(message);
    this.#batch.push(copies === 'otherwise' ? failing(message, COPY_REFUSED) : message.bytes);
    if (this.#isCopying) {
      // All of the rows at once: the session cannot wait for them.
      if (type !== 'c' && type !== 'f') return;
      this.#isCopying = false;
      this.#socket.write(withoutCopyResponse(await this.#run(session, true)));
    } else if (copies === 'alone') {
      this.#isCopying = true;
      this.#socket.write(COPY_IN_RESPONSE);
    } else if (['Q', 'S', 'F', 'H'].includes(type)) {
      // After a Flush (H) the client wants its answers, and goes on.
      this.#socket.write(await this.#run(session, type !== 'H'));
    }
  }

  async #run(session: Session, isComplete: boolean): Promise<Buffer> {
    this.#leave ??= await this.#turns.enter();
    // It may have gone while it waited.
    if (this.#socket.destroyed) throw new Error('the client has gone');
    const answer = await session.run(Buffer.concat(this.#batch));
    this.#batch = [];
    if (isComplete && isIdle(answer)) this.#endTurn();
    return answer;
  }

  #endIfAwaited(): void {
    if (this.#turns.waiting === 0) return;
    this.#socket.end(fatal('25P03', 'terminating connection: others wait for its transaction'));
    this.#socket.destroySoon();
  }

  async #forget(session: Session): Promise<void> {
    this.#leave ??= await this.#turns.enter();
    try {
      await session.run(Buffer.concat([SYNC, simpleQuery('ROLLBACK'), simpleQuery('DISCARD ALL')]));
    } finally {
      this.#endTurn();
    }
  }

  #endTurn(): void {
    this.#leave?.();
    this.#leave = undefined;
  }
}
