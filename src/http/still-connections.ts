import type { Socket } from 'node:net';

interface Connection {
  /** Node's own, of this connection. */
  readonly setTimeout: (ms: number) => Socket;
  /** The limit that holds now; 0: none. */
  ms: number;
  /** It has a timer. */
  isTimed: boolean;
  /** Since `#look` was here. */
  hasMoved: boolean;
}

/**
 * Node sets a connection's timer anew when a request comes and again when it is answered, and moves it whenever bytes do: 4 % of a
 * lookup, for timers that never fire while a connection is used. So a connection gets its timer only when no request has come or gone
 * for the time between two looks at all of them. The limits are Node's own, as it sets them; they hold up to two such times longer.
 */
export class StillConnections {
  readonly #everyMs: number;
  readonly #connections = new Set<Connection>();
  #looking: NodeJS.Timeout | undefined;

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  /** To be called as soon as it is there. Until its first request is answered it keeps the timer that Node has set already. */
  readonly add = (socket: Socket): void => {
    const setTimeout = socket.setTimeout.bind(socket);
    const connection: Connection = { setTimeout, ms: 0, isTimed: true, hasMoved: true };
    socket.setTimeout = (ms, callback) => {
      connection.ms = ms;
      connection.hasMoved = true;
      if (!connection.isTimed && callback === undefined) return socket;
      // With a callback it is not Node's own.
      connection.isTimed = callback !== undefined;
      return callback ? setTimeout(ms, callback) : setTimeout(0);
    };
    this.#connections.add(connection);
    socket.once('close', () => {
      this.#connections.delete(connection);
      if (this.#connections.size === 0) clearInterval(this.#looking);
    });
    if (this.#connections.size === 1) this.#looking = setInterval(this.#look, this.#everyMs).unref();
  };

  readonly #look = (): void => {
    for (const connection of this.#connections) {
      if (!connection.hasMoved && !connection.isTimed && connection.ms > 0) {
        connection.isTimed = true;
        connection.setTimeout(connection.ms);
      }
      connection.hasMoved = false;
    }
  };
}
