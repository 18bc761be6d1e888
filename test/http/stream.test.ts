import assert from 'node:assert/strict';
import { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setImmediate as setImmediateCallback } from 'node:timers';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import * as fc from 'fast-check';
import type { Pod } from '../../src/pod.ts';
import { until } from '../support/until.ts';
import { EventReader } from './support/events.ts';
import { changed, makePod, strings } from './support/pods.ts';
import { ask } from './support/raw.ts';
import { startService } from './support/service.ts';

const many = (count: number, given: Partial<Pod> = {}): Pod[] =>
  Array.from({ length: count }, (_, i) => makePod(`p${String(i).padStart(5, '0')}`, given));

test('a stream is a snapshot, sync, then changes', async (t) => {
  const [a, b] = [makePod('a'), makePod('b', { podIps: ['10.0.0.2'] })];
  const { url, port, add, remove } = await startService(t, { pods: [b, a] });
  const reader = await EventReader.open(`${url}/pods/stream`);
  assert.equal(reader.response.headers['content-type'], 'text/event-stream');
  assert.equal(reader.response.headers['x-podwhois-age'], '0.250');
  const first = await reader.next();
  assert.deepEqual(first?.data, (await ask(port, '/pod?uid=uid-a')).json);
  assert.deepEqual(await reader.until('sync'), ['added b', 'sync']);
  add(makePod('c'), changed(a, { ready: false }));
  remove(b);
  assert.deepEqual(await reader.until('deleted'), ['added c', 'modified a', 'deleted b']);
  reader.close();
});

test('every event has an id, and one with it goes on where it was', async (t) => {
  const a = makePod('a');
  const { url, add, remove } = await startService(t, { pods: [a] });
  const reader = await EventReader.open(`${url}/pods/stream`);
  await reader.until('sync');
  add(makePod('b'));
  await reader.until('added', 'b');
  reader.close();
  add(makePod('c'));
  remove(a);
  const again = await EventReader.open(`${url}/pods/stream`, { 'Last-Event-ID': reader.lastEventId });
  assert.deepEqual(await again.until('sync'), ['added c', 'deleted a', 'sync']);
  const none = await EventReader.open(`${url}/pods/stream`, { 'Last-Event-ID': again.lastEventId });
  const sync = await none.next();
  assert.deepEqual([sync?.type, sync?.data], ['sync', { resumed: true }]);
  for (const one of [again, none]) one.close();
});

test('an id that names no place to go on from gives a new snapshot', async (t) => {
  const { url, add } = await startService(t, { pods: [makePod('a')], feedCapacity: 8 });
  const other = await startService(t, { pods: [makePod('a')] });
  const reader = await EventReader.open(`${url}/pods/stream`);
  assert.equal((await reader.next())?.id, 'snapshot');
  await reader.until('sync');
  reader.close();
  const [epoch] = reader.lastEventId.split('-');
  const foreign = await EventReader.open(`${other.url}/pods/stream`);
  await foreign.until('sync');
  foreign.close();
  const wrong = [
    'snapshot',
    '',
    'x',
    '0',
    `${epoch}-`,
    `${epoch}-x`,
    `${epoch}-99`,
    `${epoch}--1`,
    `${epoch}-1e0`,
    `${epoch}-0x1`,
    `${epoch}-1.5`,
    `${epoch}-99999999999999999999`,
    foreign.lastEventId,
    `${reader.lastEventId}, ${reader.lastEventId}`,
    'x'.repeat(5000),
  ];
  for (const id of wrong) {
    const again = await EventReader.open(`${url}/pods/stream`, { 'Last-Event-ID': id });
    assert.equal((await again.next())?.id, 'snapshot', id);
    assert.deepEqual((await again.next())?.data, { resumed: false }, id);
    again.close();
  }
  add(...many(20));
  const late = await EventReader.open(`${url}/pods/stream`, { 'Last-Event-ID': reader.lastEventId });
  assert.equal((await late.until('sync')).length, 22, 'more has changed than the ring holds');
  late.close();
});

test('leaving the filter is deleted, entering it added, and the rest is silence', async (t) => {
  const on = makePod('a', { labels: strings({ app: 'x' }) });
  const off = makePod('b', { labels: strings({ app: 'y' }) });
  const { url, add, remove } = await startService(t, { pods: [on, off] });
  const reader = await EventReader.open(`${url}/pods/stream?label_selector=app%3Dx&namespace=default`);
  assert.deepEqual(await reader.until('sync'), ['added a', 'sync']);
  add(changed(off, { ready: false }), makePod('c', { namespace: 'other', labels: strings({ app: 'x' }) }));
  add(changed(on, { labels: strings({ app: 'y' }) }), changed(off, { labels: strings({ app: 'x' }) }));
  assert.deepEqual(await reader.until('added'), ['deleted a', 'added b']);
  remove(changed(on, {}));
  remove(changed(off, {}));
  assert.deepEqual(await reader.until('deleted'), ['deleted b']);
  reader.close();
});

test('a stream by address follows everyone who holds it', async (t) => {
  const a = makePod('a', { podIps: ['10.0.0.1'], hostNetwork: true });
  const { url, add } = await startService(t, { pods: [a, makePod('x', { podIps: ['10.0.0.2'] })] });
  const reader = await EventReader.open(`${url}/pods/stream?ip=::ffff:10.0.0.1`);
  assert.deepEqual(await reader.until('sync'), ['added a', 'sync']);
  add(makePod('b', { podIps: ['10.0.0.1'] }), changed(a, { podIps: [] }));
  assert.deepEqual(await reader.until('deleted'), ['added b', 'deleted a']);
  reader.close();
});

test('wrong filters are refused before the stream begins, and HEAD has no stream', async (t) => {
  const { port } = await startService(t);
  const wrong: Record<string, string> = {
    'label_selector=a%20b': 'invalid_selector',
    'ip=x': 'invalid_ip',
    'limit=5': 'invalid_request',
    'by=ip': 'invalid_request',
    'phase=running': 'invalid_request',
  };
  for (const [query, code] of Object.entries(wrong)) {
    const { status, json } = await ask(port, `/pods/stream?${query}`);
    assert.deepEqual([status, json['code']], [400, code], query);
  }
  const head = await ask(port, '/pods/stream', { method: 'HEAD' });
  assert.deepEqual([head.status, head.body], [200, '']);
});

test('heartbeats come at intervals and move the place to go on from', async (t) => {
  const { url, clock, add } = await startService(t, { limits: { heartbeat: 15_000 } });
  const reader = await EventReader.open(`${url}/pods/stream?namespace=mine`);
  await reader.until('sync');
  const before = reader.lastEventId;
  add(...many(3));
  // The stream's turn.
  await setImmediate();
  await setImmediate();
  clock.advance(14_999);
  assert.deepEqual(reader.comments, []);
  clock.advance(1);
  await until('a heartbeat', () => reader.comments.length > 0, { everyMs: 5 });
  assert.deepEqual(reader.comments, ['age 0.250']);
  assert.equal(Number(reader.lastEventId.split('-')[1]), Number(before.split('-')[1]) + 3);
  reader.close();
});

test('the number of streams is bounded, and one that ends makes room', async (t) => {
  const { url, port, metrics } = await startService(t, { limits: { maxStreams: 1 } });
  const reader = await EventReader.open(`${url}/pods/stream`);
  await reader.until('sync');
  const refused = await ask(port, '/pods/stream');
  assert.deepEqual([refused.status, refused.json['code']], [503, 'overloaded']);
  assert.match(await metrics.text(), /^podwhois_stream_clients 1$/m);
  reader.close();
  await until('no stream', async () => /^podwhois_stream_clients 0$/m.test(await metrics.text()), { everyMs: 5 });
  assert.equal((await ask(port, '/pods/stream', { method: 'HEAD' })).status, 200);
});

/** A connection that asks for the stream and reads nothing. */
const deaf = (port: number, path = '/pods/stream') => {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.pause();
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  return socket;
};

// More than the kernel's buffers of both sides take.
const BULKY = { annotations: strings({ note: 'x'.repeat(60_000) }) };

test('a slow reader is dropped when the ring has passed it, and others are not held up', async (t) => {
  const { port, url, metrics, add } = await startService(t, { feedCapacity: 1000, pods: many(1000, BULKY) });
  const socket = deaf(port);
  await until('the stream', async () => /^podwhois_stream_clients 1$/m.test(await metrics.text()), { everyMs: 5 });
  const reader = await EventReader.open(`${url}/pods/stream?label_selector=x`);
  await reader.until('sync');
  const before = process.memoryUsage().rss;
  for (let round = 0; round < 5; round++) {
    add(...many(300, BULKY), makePod(`last${round}`, { labels: strings({ x: '' }) }));
    assert.deepEqual(await reader.until('added', `last${round}`), [`added last${round}`]);
  }
  socket.resume();
  await until('the drop', () => metrics.counters.stream_dropped_total.all === 1, { everyMs: 5 });
  assert.ok(process.memoryUsage().rss - before < 100e6);
  reader.close();
});

test('a reader that takes nothing from one heartbeat to the next is dropped', async (t) => {
  const { port, metrics, clock } = await startService(t, { pods: many(1000, BULKY) });
  const socket = deaf(port);
  await until('the stream', async () => /^podwhois_stream_clients 1$/m.test(await metrics.text()), { everyMs: 5 });
  await until('two heartbeats', () => {
    clock.advance(15_000);
    return metrics.counters.stream_dropped_total.all === 1;
  });
  socket.resume();
  await new Promise((resolve) => socket.once('close', resolve));
});

test('a reader that was behind at a heartbeat and has caught up since is not dropped at the next', async (t) => {
  const { port, metrics, clock } = await startService(t, { pods: many(1000, BULKY) });
  const socket = deaf(port);
  await until('the stream', async () => /^podwhois_stream_clients 1$/m.test(await metrics.text()), { everyMs: 5 });
  await sleep(100); // what the kernel takes
  clock.advance(15_000);
  let text = '';
  socket.on('data', (chunk: Buffer) => (text = (text + chunk.toString('latin1')).slice(-10_000)));
  socket.resume();
  await until('all is read', () => text.includes('event: sync'), { everyMs: 5 });
  assert.equal(text.includes(': age'), false, 'it was behind at the first');
  for (let beat = 1; beat < 3; beat++) {
    clock.advance(15_000);
    await until('a heartbeat', () => text.split(': age 0.250').length > beat, { everyMs: 5 });
  }
  assert.equal(metrics.counters.stream_dropped_total.all, 0);
  socket.destroy();
});

test('at sync the reader holds exactly what the index holds, whatever happens meanwhile', async (t) => {
  const step = fc.record({ pod: fc.nat(30), to: fc.constantFrom('gone', 'on', 'off'), later: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.nat(30), async (steps, start) => {
      const service = await startService(t, {
        limits: { scanPerTurn: 3 },
        pods: many(start, { labels: strings({ on: '' }) }),
      });
      const reader = await EventReader.open(`${service.url}/pods/stream?label_selector=on`);
      for (const { pod: i, to, later } of steps) {
        if (later) await setImmediate();
        const name = `p${String(i).padStart(5, '0')}`;
        const known = service.index.byName('default', name);
        if (to !== 'gone') service.add(makePod(name, { labels: strings(to === 'on' ? { on: '' } : {}) }));
        else if (known) service.remove(changed(known, {}));
      }
      service.add(makePod('zzz', { labels: strings({ on: '' }) }));
      const held = new Set<unknown>();
      let synced = false;
      for (;;) {
        const event = await reader.next();
        assert.ok(event);
        const name = event.data['name'];
        if (event.type === 'sync') synced = true;
        else {
          assert.equal(held.has(name), event.type !== 'added', `${event.type} ${String(name)}`);
          if (event.type === 'deleted') held.delete(name);
          else held.add(name);
        }
        if (synced && held.has('zzz')) break;
      }
      const truth = [...service.index.walk()].filter(({ labels }) => 'on' in labels).map(({ name }) => name);
      assert.deepEqual(new Set(held), new Set(truth));
      reader.close();
      await service.server.close();
    }),
    { numRuns: 40 },
  );
});

test('a stream is written in pieces of bounded length, snapshot and changes', async (t) => {
  const { url, add } = await startService(t, { pods: many(300, BULKY) });
  const pieces: number[] = [];
  const { write } = ServerResponse.prototype as { write: (this: ServerResponse, text: string) => boolean };
  t.mock.method(ServerResponse.prototype, 'write', function (this: ServerResponse, text: string) {
    pieces.push(text.length);
    return write.call(this, text);
  });
  const reader = await EventReader.open(`${url}/pods/stream`);
  assert.equal((await reader.until('sync')).length, 301);
  add(...many(300, { ...BULKY, ready: false }));
  assert.equal((await reader.until('modified', 'p00299')).length, 300);
  assert.ok(Math.max(...pieces) < 256 * 1024 + 65_000, `${Math.max(...pieces)}`);
  assert.ok(pieces.length > 100);
  reader.close();
});

test('streams with selectors of many requirements look at fewer changes in a turn, one stream after the other', async (t) => {
  const { url, index, add } = await startService(t);
  const selector = Array.from({ length: 900 }, (_, i) => `!k${i}`).join(',');
  const readers = [await EventReader.open(`${url}/pods/stream?label_selector=${selector}`)];
  readers.push(await EventReader.open(`${url}/pods/stream?label_selector=${selector}`));
  for (const reader of readers) await reader.until('sync');
  const inTurns: number[] = [];
  let inTurn = 0;
  const since = index.changes.since.bind(index.changes);
  t.mock.method(index.changes, 'since', (sequence: number, most?: number) => {
    const changes = since(sequence, most);
    if (inTurn === 0) setImmediateCallback(() => inTurns.push(inTurn) && (inTurn = 0));
    inTurn += changes?.length ?? 0;
    return changes;
  });
  add(...many(200));
  for (const reader of readers) assert.equal((await reader.until('added', 'p00199')).length, 200);
  assert.ok(Math.max(...inTurns) * 900 <= 256 * 8 * 2, `${Math.max(...inTurns)} changes in a turn`);
  for (const reader of readers) reader.close();
});

test('streams end at shutdown', async (t) => {
  const { url, server } = await startService(t);
  const reader = await EventReader.open(`${url}/pods/stream`);
  await reader.until('sync');
  await server.close();
  assert.equal(await reader.next(), undefined);
  assert.equal(reader.response.complete, true, 'in order, not cut off');
});
