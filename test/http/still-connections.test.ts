import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { StillConnections } from '../../src/http/still-connections.ts';
import { open } from './support/raw.ts';
import { startService } from './support/service.ts';

const EVERY = 500;

/** A connection as Node hands it over, with the limits that its timer was set to. */
function connected(connections: StillConnections): { socket: Socket; timers: number[] } {
  const timers: number[] = [];
  const socket = Object.assign(new EventEmitter(), {
    setTimeout(ms: number, callback?: () => void) {
      timers.push(ms);
      if (callback) socket.on('timeout', callback);
      return socket;
    },
  }) as unknown as Socket;
  connections.add(socket);
  return { socket, timers };
}

function looking(t: TestContext): StillConnections {
  t.mock.timers.enable({ apis: ['setInterval'] });
  return new StillConnections(EVERY);
}

test('a connection that is used has no timer, and one that is still has the limit that Node set last', (t) => {
  const { socket, timers } = connected(looking(t));
  t.mock.timers.tick(10 * EVERY);
  assert.deepEqual(timers, [], 'that of a new connection is left alone');
  for (let i = 0; i < 10; i++) {
    socket.setTimeout(125_000);
    socket.setTimeout(30_000);
    t.mock.timers.tick(EVERY);
  }
  assert.deepEqual(timers, [0], 'Node’s first timer is taken back, and no other set');
  t.mock.timers.tick(EVERY);
  assert.deepEqual(timers, [0, 30_000]);
  t.mock.timers.tick(10 * EVERY);
  assert.deepEqual(timers, [0, 30_000], 'set anew, it would never fire');
  socket.setTimeout(125_000);
  assert.deepEqual(timers, [0, 30_000, 0]);
  t.mock.timers.tick(2 * EVERY);
  assert.deepEqual(timers, [0, 30_000, 0, 125_000]);
});

test('where there is no limit there is no timer', (t) => {
  const { socket, timers } = connected(looking(t));
  socket.setTimeout(0);
  t.mock.timers.tick(10 * EVERY);
  assert.deepEqual(timers, [0]);
});

test('who sets a timer with a callback has it at once', (t) => {
  const { socket, timers } = connected(looking(t));
  let fired = 0;
  assert.equal(
    socket.setTimeout(7, () => fired++),
    socket,
  );
  t.mock.timers.tick(10 * EVERY);
  assert.deepEqual(timers, [7]);
  socket.emit('timeout');
  assert.equal(fired, 1);
  socket.setTimeout(125_000);
  t.mock.timers.tick(2 * EVERY);
  assert.deepEqual(timers, [7, 0, 125_000]);
});

test('connections that are gone are looked at no more, and then nothing is', (t) => {
  const connections = looking(t);
  const cleared = t.mock.method(globalThis, 'clearInterval');
  const [first, second] = [connected(connections), connected(connections)];
  for (const { socket } of [first, second]) socket.setTimeout(30_000);
  first.socket.emit('close');
  assert.equal(cleared.mock.callCount(), 0);
  t.mock.timers.tick(2 * EVERY);
  assert.deepEqual([first.timers, second.timers], [[0], [0, 30_000]]);
  second.socket.emit('close');
  assert.equal(cleared.mock.callCount(), 1);
  const third = connected(connections);
  third.socket.setTimeout(30_000);
  t.mock.timers.tick(2 * EVERY);
  assert.deepEqual(third.timers, [0, 30_000]);
});

test('an answered connection that nobody uses any more is closed in the end', async (t) => {
  const { port } = await startService(t, { limits: { keepAliveTimeout: 50, connectionsCheckingInterval: 50 } });
  const connection = open(port);
  for (let i = 0; i < 3; i++) {
    connection.socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(connection.socket, 'data');
  }
  await connection.closed;
  assert.equal(connection.received.match(/^Keep-Alive: timeout=/gm)?.length, 3);
});
