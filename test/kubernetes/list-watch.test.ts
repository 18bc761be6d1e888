import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiListWatch } from '../../src/kubernetes/list-watch.ts';
import { WireError } from '../../src/kubernetes/wire/format.ts';
import { silence } from '../support/model-cluster.ts';
import { bookmarkLine, line, listBody, ScriptedTransport, thing, thingReader } from '../support/scripted-transport.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import type { ApiObject } from '../../src/kubernetes/api-object.ts';
import type { Resource } from '../../src/kubernetes/list-watch.ts';

const never = new AbortController().signal;

function scripted(resource: Partial<Resource<ApiObject>> = {}) {
  const clock = new VirtualClock();
  const transport = new ScriptedTransport();
  const listWatch = new ApiListWatch({
    transport,
    clock,
    resource: { path: '/api/v1/things', reader: thingReader, ...resource },
  });
  return { clock, transport, listWatch };
}

/** What came, then how it ended. */
async function all<T>(batches: AsyncIterable<readonly T[]>): Promise<{ batches: T[][]; error: unknown }> {
  const got: T[][] = [];
  try {
    for await (const batch of batches) got.push([...batch]);
  } catch (error) {
    return { batches: got, error };
  }
  return { batches: got, error: undefined };
}

const query = (path: string | undefined): Record<string, string> =>
  Object.fromEntries(new URL(path ?? '', 'http://x').searchParams);

test('B2 a watch asks for bookmarks and a time limit, from its version, with the selectors', async () => {
  const { transport, listWatch } = scripted({ labelSelector: 'app in (a,b)', fieldSelector: 'spec.nodeName=n1' });
  transport.answer(() => [bookmarkLine(107)]);
  const { batches } = await all(listWatch.watch('103', { seconds: 30, signal: never }));
  assert.deepEqual(batches, [[{ type: 'BOOKMARK', resourceVersion: '107', initialEventsEnd: false }]]);
  assert.ok(transport.paths[0]?.startsWith('/api/v1/things?'));
  assert.deepEqual(query(transport.paths[0]), {
    watch: '1',
    resourceVersion: '103',
    allowWatchBookmarks: 'true',
    timeoutSeconds: '30',
    labelSelector: 'app in (a,b)',
    fieldSelector: 'spec.nodeName=n1',
  });
});

test('B1 a streamed list is the consistent one: resourceVersion unset', async () => {
  const { transport, listWatch } = scripted();
  transport.answer(() => [line('ADDED', thing('a', 1)) + bookmarkLine(107, true)]);
  await all(listWatch.stream(never));
  const { sendInitialEvents, resourceVersionMatch, resourceVersion, allowWatchBookmarks } = query(transport.paths[0]);
  assert.deepEqual(
    { sendInitialEvents, resourceVersionMatch, resourceVersion, allowWatchBookmarks },
    {
      sendInitialEvents: 'true',
      resourceVersionMatch: 'NotOlderThan',
      resourceVersion: undefined,
      allowWatchBookmarks: 'true',
    },
  );
});

test('B1 pages of 500, resourceVersion unset, each continuing the last, with the selectors', async () => {
  const { transport, listWatch } = scripted({ labelSelector: 'app=a' });
  transport
    .answer(() => [listBody(107, [thing('a', 1), thing('bad', 2)], 'next')])
    .answer(() => ['{"kind":"ThingList",', listBody(107, [thing('b', 3)]).slice('{"kind":"ThingList",'.length)]);
  const pages = [];
  for await (const page of listWatch.pages(never)) pages.push(page);
  assert.deepEqual(
    pages.map(({ items, unreadable }) => [items.length, unreadable.length]),
    [
      [1, 1],
      [1, 0],
    ],
  );
  assert.deepEqual(transport.paths.map(query), [
    { labelSelector: 'app=a', limit: '500' },
    { labelSelector: 'app=a', limit: '500', continue: 'next' },
  ]);
});

test('pages of different versions, and a page that leads to itself, are no list', async () => {
  for (const [first, second, token] of [
    [107, 108, ''],
    [107, 107, 'next'],
  ] as const) {
    const { transport, listWatch } = scripted();
    transport.answer(() => [listBody(first, [], 'next')]).answer(() => [listBody(second, [], token)]);
    await assert.rejects(async () => {
      for await (const _ of listWatch.pages(never));
    }, WireError);
  }
});

test('C1 a consistent read is a list of one with the version unset, and no selector to search for', async () => {
  const { transport, listWatch } = scripted({ labelSelector: 'app=a', fieldSelector: 'spec.nodeName=n1' });
  transport.answer(() => [listBody(107, [thing('a', 1)], 'next')]);
  assert.equal(await listWatch.read(never), '107');
  assert.deepEqual(query(transport.paths[0]), { limit: '1' });
});

test('of metadata alone, objects are asked for as such, and lists as lists of such', async () => {
  const { transport, listWatch } = scripted({ metadataOnly: true });
  transport
    .answer(() => [bookmarkLine(107)])
    .answer(() => [bookmarkLine(107, true)])
    .answer(() => [listBody(107, [])])
    .answer(() => [listBody(107, [])]);
  await all(listWatch.watch('103', { seconds: 30, signal: never }));
  await all(listWatch.stream(never));
  for await (const _ of listWatch.pages(never));
  await listWatch.read(never);
  assert.deepEqual(
    transport.options.map((options) => options?.as),
    ['PartialObjectMetadata', 'PartialObjectMetadata', 'PartialObjectMetadataList', 'PartialObjectMetadataList'],
  );
  const whole = scripted();
  whole.transport.answer(() => [listBody(107, [])]);
  await whole.listWatch.read(never);
  assert.equal(whole.transport.options[0]?.as, undefined);
});

test('line cut in the middle, at every byte: what was whole is delivered, the rest dropped, and the cut is an error', async () => {
  const stream = line('ADDED', thing('ä', 1)) + line('MODIFIED', thing('b', 2)) + bookmarkLine(9);
  const bytes = Buffer.from(stream);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const { transport, listWatch } = scripted();
    transport.answer(() => [bytes.subarray(0, Math.floor(cut / 2)), bytes.subarray(Math.floor(cut / 2), cut)]);
    const { batches, error } = await all(listWatch.watch('1', { seconds: 30, signal: never }));
    const whole = bytes.subarray(0, cut).toString('latin1').split('\n').length - 1;
    assert.equal(batches.flat().length, whole, `cut at ${cut}`);
    const clean = cut === 0 || bytes[cut - 1] === 0x0a;
    assert.equal(error === undefined, clean, `cut at ${cut}`);
  }
});

test('a reset in the middle of a line gives its error, and what came before it', async () => {
  const { transport, listWatch } = scripted();
  transport.answer(async function* () {
    yield line('ADDED', thing('a', 1)) + '{"type":';
    await Promise.resolve();
    throw new Error('ECONNRESET');
  });
  const { batches, error } = await all(listWatch.watch('1', { seconds: 30, signal: never }));
  assert.equal(batches.flat().length, 1);
  assert.match(String(error), /ECONNRESET/);
});

test('corrupt line: a WireError, and the lines behind it are not read', async () => {
  const { transport, listWatch } = scripted();
  transport.answer(() => [line('ADDED', thing('a', 1)), '{"type":"ADDED",}\n', line('ADDED', thing('b', 2))]);
  const { batches, error } = await all(listWatch.watch('1', { seconds: 30, signal: never }));
  assert.equal(batches.flat().length, 1);
  assert.ok(error instanceof WireError);
});

test('half-open: headers that never come are given up after 20 s', async () => {
  const { clock, transport, listWatch } = scripted();
  transport.answer(silence);
  const watching = all(listWatch.watch('1', { seconds: 30, signal: never }));
  await clock.advance(19_999);
  assert.equal(transport.signals[0]?.aborted, false);
  await clock.advance(1);
  assert.match(String((await watching).error), /DeadlineError: no answer within 20 s/);
});

test('half-open: a watch on which nothing comes ends 10 s after the server should have ended it', async () => {
  const { clock, transport, listWatch } = scripted();
  transport.answer(async function* (signal) {
    yield bookmarkLine(2);
    await silence(signal);
  });
  const watching = all(listWatch.watch('1', { seconds: 30, signal: never }));
  await clock.advance(39_999);
  assert.equal(transport.signals[0]?.aborted, false);
  await clock.advance(1);
  assert.match(String((await watching).error), /DeadlineError/);
});

test('B2 a long watch has an idle deadline too: 150 s without a byte, counted from the last one', async () => {
  const { clock, transport, listWatch } = scripted();
  transport.answer(async function* (signal) {
    yield bookmarkLine(2);
    await clock.sleep(100_000, signal);
    yield bookmarkLine(3);
    await silence(signal);
  });
  const watching = all(listWatch.watch('1', { seconds: 1_200, signal: never }));
  await clock.advance(249_000);
  assert.equal(transport.signals[0]?.aborted, false);
  await clock.advance(1_000);
  assert.match(String((await watching).error), /DeadlineError: not a byte within 150 s/);
});

test('slow drip: a line that comes byte by byte is given up after 10 s, a quiet time before it does not count', async () => {
  const { clock, transport, listWatch } = scripted();
  transport.answer(async function* (signal) {
    yield bookmarkLine(2);
    await clock.sleep(20_000, signal);
    for (const byte of line('ADDED', thing('a', 1))) {
      yield byte;
      await clock.sleep(1_000, signal);
    }
  });
  const watching = all(listWatch.watch('1', { seconds: 120, signal: never }));
  await clock.advance(29_999);
  assert.equal(transport.signals[0]?.aborted, false);
  await clock.advance(1);
  const { batches, error } = await watching;
  assert.equal(batches.length, 1);
  assert.match(String(error), /DeadlineError: an event not complete within 10 s/);
});

test('slow drip: many lines that are each in time are no slow drip', async () => {
  const { clock, transport, listWatch } = scripted();
  transport.answer(async function* (signal) {
    for (let n = 0; n < 100; n++) {
      const text = line('ADDED', thing('a', n + 1));
      yield text.slice(0, 20);
      await clock.sleep(500, signal);
      yield text.slice(20);
    }
  });
  const watching = all(listWatch.watch('1', { seconds: 60, signal: never }));
  await clock.advance(60_000);
  const { batches, error } = await watching;
  assert.equal(error, undefined);
  assert.equal(batches.length, 100);
});

test('slow drip: a page that comes byte by byte is given up after 60 s, a read after 20 s', async () => {
  for (const [ask, limit] of [
    [(listWatch: ApiListWatch<ApiObject>) => listWatch.pages(never)[Symbol.asyncIterator]().next(), 60_000],
    [(listWatch: ApiListWatch<ApiObject>) => listWatch.read(never), 20_000],
  ] as const) {
    const { clock, transport, listWatch } = scripted();
    transport.answer(async function* (signal) {
      for (;;) {
        yield ' ';
        await clock.sleep(1_000, signal);
        signal.throwIfAborted();
      }
    });
    let error: unknown;
    const asking = ask(listWatch).catch((reason: unknown) => (error = reason));
    await clock.advance(limit - 1);
    assert.equal(error, undefined);
    await clock.advance(1_001);
    await asking;
    assert.match(String(error), /DeadlineError: no complete answer/);
  }
});

test('endless pages: a list that has no end is given up after 10 minutes, however quick each page is', async () => {
  const { clock, transport, listWatch } = scripted();
  let page = 0;
  const next = (): void => {
    transport.answer(async (signal) => {
      await clock.sleep(1_000, signal);
      next();
      return [listBody(7, [thing(`t${++page}`, 7)], `token-${page}`)];
    });
  };
  next();
  const read = (async () => {
    for await (const _ of listWatch.pages(never));
  })();
  const given = assert.rejects(read, { name: 'DeadlineError', message: /within 600 s/ });
  await clock.advance(599_000);
  assert.equal(page, 599);
  await clock.advance(2_000);
  await given;
  assert.equal(clock.sleepers, 0);
});

test('B1 a streamed list on which nothing comes before its end is given up after 10 s', async () => {
  const { clock, transport, listWatch } = scripted();
  transport.answer(async function* (signal) {
    yield line('ADDED', thing('a', 1));
    await silence(signal);
  });
  const streaming = all(listWatch.stream(never));
  await clock.advance(10_000);
  assert.match(String((await streaming).error), /DeadlineError/);
});

test('B11 a deadline that passed while the process was frozen ends the watch, though bytes wait', async () => {
  const { clock, transport, listWatch } = scripted();
  let frozen = (): void => {};
  const thaw = new Promise<void>((resolve) => (frozen = resolve));
  transport.answer(async function* () {
    yield bookmarkLine(2);
    await thaw;
    yield bookmarkLine(3);
  });
  const watching = all(listWatch.watch('1', { seconds: 30, signal: never }));
  await clock.settle();
  clock.freeze(600_000);
  await clock.advance(0); // timers run before sockets are read
  frozen();
  const { batches, error } = await watching;
  assert.equal(batches.length, 1);
  assert.match(String(error), /DeadlineError/);
});

test('an aborted request ends with the reason it was aborted for, and leaves no sleeper', async () => {
  const { clock, transport, listWatch } = scripted();
  transport.answer(silence).answer(silence).answer(silence);
  const stop = new AbortController();
  const ends = [
    all(listWatch.watch('1', { seconds: 30, signal: stop.signal })).then(({ error }) => error),
    all(listWatch.stream(stop.signal)).then(({ error }) => error),
    listWatch.read(stop.signal).catch((error: unknown) => error),
  ];
  await clock.settle();
  stop.abort(new Error('stop'));
  for (const end of await Promise.all(ends)) assert.equal(String(end), 'Error: stop');
  await clock.settle();
  assert.equal(clock.sleepers, 0);
});

test('whoever stops reading a watch leaves no sleeper and no open body', async () => {
  const { clock, transport, listWatch } = scripted();
  let closed = false;
  transport.answer(async function* (signal) {
    try {
      for (let version = 1; ; version++) {
        yield bookmarkLine(version);
        await clock.sleep(1, signal);
      }
    } finally {
      closed = true;
    }
  });
  for await (const _ of listWatch.watch('1', { seconds: 30, signal: never })) break;
  await clock.settle();
  assert.equal(closed, true);
  assert.equal(clock.sleepers, 0);
});

test('onOpen tells that the server accepted the watch, before anything comes', async () => {
  const { clock, transport, listWatch } = scripted();
  let opened = 0;
  transport.answer(async function* (signal) {
    await silence(signal);
    yield '';
  });
  const stop = new AbortController();
  const watching = all(listWatch.watch('1', { seconds: 30, signal: stop.signal, onOpen: () => opened++ }));
  await clock.settle();
  assert.equal(opened, 1);
  stop.abort();
  await watching;
});
