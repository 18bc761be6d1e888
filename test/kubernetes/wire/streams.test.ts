import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { FORMATS, frames, golden, plainEvent, plainPod, randomFrom, readAll, testReader } from '../golden/golden.ts';
import { MAX_FRAME_BYTES, WireError } from '../../../src/kubernetes/wire/format.ts';
import type { Pod } from '../../../src/pod.ts';
import type { WatchEvent, WireFormat } from '../../../src/kubernetes/wire/format.ts';

/** What holds for both formats, on a stream recorded from a real API server. */
for (const format of FORMATS) {
  const stream = golden('watch', format);
  const events = readAll(format, stream).map(plainEvent);
  const pushAll = (chunks: Iterable<Uint8Array>): { events: unknown[]; partial: boolean } => {
    const decoder = format.watch(testReader());
    const pushed = [...chunks].flatMap((chunk) => decoder.push(chunk));
    return { events: pushed.map(plainEvent), partial: decoder.partial };
  };

  describe(`a ${format.name} stream`, () => {
    test('line cut in the middle: cut at every byte it gives the events that were whole, and knows of a rest', () => {
      let whole = 0;
      const ends = new Set<number>();
      for (const frame of frames(format, stream)) ends.add((whole += frame.length));
      const decoder = format.watch(testReader());
      const seen: unknown[] = [];
      for (let cut = 1; cut <= stream.length; cut++) {
        seen.push(...decoder.push(stream.subarray(cut - 1, cut)).map(plainEvent));
        assert.equal(decoder.partial, !ends.has(cut), `cut at ${cut}`);
        assert.equal(seen.length, [...ends].filter((end) => end <= cut).length, `cut at ${cut}`);
      }
      assert.deepEqual(seen, events);
    });

    test('cut in two at any byte it gives the same events', () => {
      for (let cut = 0; cut <= stream.length; cut += 31) {
        const decoder = format.watch(testReader());
        const count = decoder.push(stream.subarray(0, cut)).length + decoder.push(stream.subarray(cut)).length;
        assert.equal(count, events.length, `cut at ${cut}`);
      }
    });

    test('pushed in any chunks it gives the same events, whatever becomes of the chunks', () => {
      const sizes = fc.array(fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 20_000 })), {
        minLength: 1,
        maxLength: 30,
      });
      const property = fc.property(sizes, (lengths) => {
        const decoder = format.watch(testReader());
        const seen: unknown[] = [];
        const push = (chunk: Buffer): void => {
          const copy = new Uint8Array(chunk); // not a Buffer, and overwritten as soon as it was pushed
          seen.push(...decoder.push(copy));
          copy.fill(0xff);
        };
        let at = 0;
        for (const length of lengths) {
          push(stream.subarray(at, at + length));
          at += length;
        }
        push(stream.subarray(at));
        assert.deepEqual((seen as WatchEvent<Pod>[]).map(plainEvent), events);
      });
      fc.assert(property, { numRuns: 100 });
    });

    test('corrupt line: flipped bits give the same, another text, UNREADABLE or a WireError, and nothing worse', () => {
      const random = randomFrom(20261121);
      const outcomes = new Map<string, number>();
      for (const frame of frames(format, stream)) {
        const original = JSON.stringify(readAll(format, frame).map(plainEvent));
        for (let i = 0; i < 600; i++) {
          const flipped = Buffer.from(frame);
          for (let flips = 1 + Math.floor(random() * 3); flips > 0; flips--) {
            const at = Math.floor(random() * flipped.length);
            flipped[at] = flipped[at]! ^ (1 << Math.floor(random() * 8));
          }
          const outcome = outcomeOf(format, flipped, original);
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        }
      }
      assert.deepEqual([...outcomes.keys()].sort(), ['UNREADABLE', 'WireError', 'changed', 'partial', 'same']);
      assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
      assert.deepEqual(Object.keys(Object.prototype), []);
    });

    test('a page with flipped bits is a WireError, or has records and unreadable objects', () => {
      const random = randomFrom(20261122);
      const page = golden('page', format);
      let refused = 0;
      let unreadable = 0;
      for (let i = 0; i < 3000; i++) {
        const flipped = Buffer.from(page);
        const at = Math.floor(random() * flipped.length);
        flipped[at] = flipped[at]! ^ (1 << Math.floor(random() * 8));
        try {
          const list = format.list(flipped, testReader());
          list.items.forEach(assertWhole);
          unreadable += list.unreadable.length;
        } catch (error) {
          assert.ok(error instanceof WireError, `bit flipped at ${at}: ${String(error)}`);
          refused++;
        }
      }
      assert.ok(refused > 20 && unreadable > 20, `${refused} refused, ${unreadable} unreadable`);
    });

    test('random bytes are a WireError, or not even a whole frame', () => {
      const property = fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          assert.deepEqual(format.watch(testReader()).push(bytes), []);
        } catch (error) {
          assert.ok(error instanceof WireError, String(error));
        }
        assert.throws(() => format.list(bytes, testReader()), WireError);
        assert.equal(format.status(bytes), undefined);
      });
      fc.assert(property, { numRuns: 2000 });
    });

    test('B6 salvaging never throws, whatever the bytes', () => {
      const reader = testReader();
      const property = fc.property(fc.uint8Array({ maxLength: 300 }), fc.anything(), (bytes, error) => {
        const { key, ips } = reader.salvage(bytes, format.name, error);
        assert.ok(key.length > 0 && ips.length < 100);
      });
      fc.assert(property, { numRuns: 2000 });
    });

    test('corrupt line, unknown kind or type: an object of another kind', () => {
      const nodes = { ...testReader(), kinds: ['Node'] };
      assert.throws(() => format.watch(nodes).push(stream), WireError);
      assert.throws(() => format.list(golden('list', format), nodes), WireError);
      assert.throws(() => format.list(golden('not-found', format), testReader()), WireError);
    });

    test('corrupt line, unknown kind or type: an event of another type', () => {
      const frame = Buffer.from(frames(format, stream)[0]!);
      frame.write('ADDLE', frame.indexOf('ADDED'));
      assert.throws(() => readAll(format, frame), { name: 'WireError', message: 'event type "ADDLE" is not known' });
    });

    test('a decoder that threw takes no more: what followed would be out of order', () => {
      const decoder = format.watch(testReader());
      const frame = Buffer.from(frames(format, stream)[0]!);
      frame.write('ADDLE', frame.indexOf('ADDED'));
      assert.throws(() => decoder.push(frame), WireError);
      assert.throws(() => decoder.push(stream), WireError);
    });

    test('4 MB in pieces of 16 bytes take linear time', { timeout: 20_000 }, () => {
      // were each piece to copy what is there already, this would copy 500 GB
      const large = largeEvent(format, 4_000_000);
      const decoder = format.watch(testReader());
      const seen: WatchEvent<Pod>[] = [];
      for (let at = 0; at < large.length; at += 16) seen.push(...decoder.push(large.subarray(at, at + 16)));
      assert.equal(seen.length, 1);
      assert.equal(seen[0]?.type, 'ERROR');
    });

    test('a frame larger than any object is refused before it is gathered', () => {
      const decoder = format.watch(testReader());
      const large = largeEvent(format, MAX_FRAME_BYTES + 1);
      assert.throws(() => {
        for (let at = 0; at < large.length - 10; at += 65_536) decoder.push(large.subarray(at, at + 65_536));
      }, WireError);
    });

    test('empty chunks and an empty stream say nothing', () => {
      assert.deepEqual(pushAll([]), { events: [], partial: false });
      assert.deepEqual(pushAll([new Uint8Array(0), stream, new Uint8Array(0)]), { events, partial: false });
    });
  });
}

function outcomeOf(format: WireFormat, bytes: Buffer, original: string): string {
  const decoder = format.watch(testReader());
  let events: WatchEvent<Pod>[];
  try {
    events = decoder.push(bytes);
  } catch (error) {
    assert.ok(error instanceof WireError, `${String(error)}\n${bytes.toString('hex')}`);
    return 'WireError';
  }
  for (const event of events) {
    if (event.type === 'UNREADABLE') {
      assert.ok(event.object.key);
      return 'UNREADABLE';
    }
    if (event.type === 'ADDED' || event.type === 'MODIFIED' || event.type === 'DELETED') assertWhole(event.object);
  }
  if (decoder.partial) return 'partial';
  return JSON.stringify(events.map(plainEvent)) === original ? 'same' : 'changed';
}

/** Whatever it says, it is a record such as the rest of the program expects. */
function assertWhole(record: Pod): void {
  const pod = plainPod(record);
  assert.ok(pod.uid && pod.namespace && pod.name && /^[1-9][0-9]*$/.test(pod.resourceVersion));
  for (const map of [pod.labels, pod.annotations]) {
    assert.equal(Object.getPrototypeOf(map), null);
    for (const value of Object.values(map)) assert.equal(typeof value, 'string');
  }
  for (const flag of [pod.hostNetwork, pod.ready]) assert.equal(typeof flag, 'boolean');
  for (const text of [...pod.podIps, ...pod.hostIps, pod.nodeName, pod.serviceAccount, pod.qosClass]) {
    assert.equal(typeof text, 'string');
  }
  for (const time of [pod.createdAt, pod.startedAt ?? 0, pod.deletionTimestamp ?? 0]) new Date(time).toISOString();
  for (const { name, image, id, ready, restarts } of pod.containers) {
    assert.deepEqual(
      [name, image, id].map((text) => typeof text),
      ['string', 'string', 'string'],
    );
    assert.ok(typeof ready === 'boolean' && restarts >= 0 && Number.isInteger(restarts));
  }
}

/** The recorded ERROR event with a message that makes it this large. */
function largeEvent(format: WireFormat, size: number): Buffer {
  const message = 'x'.repeat(size);
  if (format.name === 'json') {
    return Buffer.from(`${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', message } })}\n`);
  }
  const field = (number: number, value: Buffer): Buffer => {
    const length: number[] = [];
    let rest = value.length;
    for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
    return Buffer.concat([Buffer.from([number * 8 + 2, ...length, rest]), value]);
  };
  const unknown = [field(1, field(2, Buffer.from('Status'))), field(2, field(3, Buffer.from(message)))];
  const raw = Buffer.concat([Buffer.from('k8s\0'), ...unknown]);
  const event = Buffer.concat([field(1, Buffer.from('ERROR')), field(2, field(1, raw))]);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(event.length);
  return Buffer.concat([head, event]);
}
