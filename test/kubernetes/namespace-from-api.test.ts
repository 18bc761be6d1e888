import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { encodeMessage } from '../../src/simulator/encoding/protobuf.ts';
import { namespaceReader } from '../../src/kubernetes/namespace-from-api.ts';
import { json } from '../../src/kubernetes/wire/json.ts';
import { protobuf } from '../../src/kubernetes/wire/protobuf.ts';
import { FORMATS, golden } from './golden/golden.ts';
import type { Namespace } from '../../src/namespace.ts';

type Json = Readonly<Record<string, unknown>>;

const METADATA = { name: 'shop', uid: 'u-1', resourceVersion: '5', labels: { team: 'a' } };
const reader = namespaceReader();

/** Read from both formats, whole and cut down: the same record. */
function fromBoth(metadata: Json): Namespace {
  const object = {
    metadata: { ...METADATA, ...metadata },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: '' },
  };
  const one = reader.fromJson(JSON.parse(JSON.stringify(object)));
  for (const kind of ['PartialObjectMetadata', 'Namespace'])
    assert.deepEqual(reader.fromProtobuf(encodeMessage(kind, object)), one);
  return one;
}

describe('namespaces recorded from a real API server', () => {
  const lists = FORMATS.map((format) => format.list(golden('namespaces', format), reader));

  test('both formats give the identical record, of metadata alone and of whole objects', () => {
    const [one, ...others] = [
      ...lists,
      ...FORMATS.map((format) => format.list(golden('namespaces-whole', format), reader)),
    ];
    for (const other of others) assert.deepEqual(other, one);
    assert.ok(one && one.items.length > 5 && one.continue === '');
    assert.deepEqual(one.unreadable, []);
    assert.equal(
      one.items.map(({ name }) => name).join(' '),
      'default golden kube-node-lease kube-public kube-system labelled',
    );
  });

  test('B12 a record is uid, name, version and labels, and nothing else', () => {
    const { uid, resourceVersion, labels, ...rest } = lists[0]?.items.at(-1) ?? assert.fail();
    assert.match(uid, /^[0-9a-f-]{36}$/);
    assert.match(resourceVersion, /^[1-9][0-9]*$/);
    assert.deepEqual(rest, { namespace: '', name: 'labelled' });
    const own = { team: 'a', constructor: 'x', 'example.test/tier': '', managedFields: 'managedFields' };
    assert.deepEqual({ ...labels }, { ...own, 'kubernetes.io/metadata.name': 'labelled' });
    assert.equal(Object.getPrototypeOf(labels), null, 'A9');
  });

  test('a page has the token of the next one', () => {
    for (const format of FORMATS) {
      const page = format.list(golden('namespaces-page', format), reader);
      assert.equal(page.items.length, 2);
      assert.ok(page.continue.length > 10);
    }
  });

  test('a watch tells the same in both formats: initial events, their end, a life, a bookmark', () => {
    const [one, other] = FORMATS.map((format) => format.watch(reader).push(golden('namespaces-watch', format)));
    assert.ok(one);
    assert.deepEqual(other, one);
    const types = one.map((event) => (event.type === 'BOOKMARK' && event.initialEventsEnd ? 'END' : event.type));
    assert.match(types.join(' '), /^(ADDED )+END ADDED MODIFIED MODIFIED DELETED( BOOKMARK)+$/);
    const teams = one
      .slice(types.indexOf('END') + 1, -1)
      .flatMap((event) => ('object' in event && 'labels' in event.object ? event.object.labels['team'] : []));
    assert.deepEqual(teams, ['a', 'b', 'b', 'b']);
  });

  test('in-stream ERROR: a version that is gone is a Status in the stream', () => {
    for (const format of FORMATS) {
      const [event, ...more] = format.watch(reader).push(golden('namespaces-gone', format));
      assert.deepEqual(more, []);
      assert.ok(event?.type === 'ERROR' && event.status.code === 410);
    }
  });

  test('objects of another kind are a fault of the stream', () => {
    assert.throws(() => json.list(golden('list', json), reader), /PodList/);
    assert.throws(() => protobuf.watch(reader).push(golden('watch', protobuf)), /"Pod" where a PartialObjectMetadata/);
  });
});

describe('B6 what makes a namespace unreadable', () => {
  for (const field of ['uid', 'name', 'resourceVersion']) {
    test(`B6 no ${field}`, () => {
      for (const value of ['', undefined, null]) {
        const object = { metadata: { ...METADATA, [field]: value } };
        assert.throws(() => reader.fromJson(object), new RegExp(field));
        assert.throws(() => reader.fromProtobuf(encodeMessage('Namespace', object)), new RegExp(field));
      }
    });
  }

  test('B6 a version that cannot be ordered', () => {
    for (const resourceVersion of ['0', '05', 'a', '-1']) {
      assert.throws(() => reader.fromJson({ metadata: { ...METADATA, resourceVersion } }), /cannot be ordered/);
    }
  });

  test('B6 a wrong type, or not even an object', () => {
    const metadata = [{ name: 1 }, { uid: {} }, { labels: [] }, { labels: { a: 1 } }, { labels: { a: null, b: {} } }];
    for (const wrong of metadata) assert.throws(() => reader.fromJson({ metadata: { ...METADATA, ...wrong } }));
    for (const wrong of [null, undefined, 1, 'x', [], {}, { metadata: [] }])
      assert.throws(() => reader.fromJson(wrong));
  });

  test('B6 bytes that end too early or too late', () => {
    const bytes = Buffer.from(encodeMessage('Namespace', { metadata: METADATA }));
    for (let end = 0; end < bytes.indexOf('shop') + 4; end++)
      assert.throws(() => reader.fromProtobuf(bytes.subarray(0, end)));
    assert.throws(() => reader.fromProtobuf(Buffer.concat([bytes, Buffer.from([0x0a, 0x7f])])), /passes the end/);
  });

  test('B6 null is as good as absent, and no labels are none', () => {
    for (const labels of [null, undefined, {}]) assert.deepEqual(Object.keys(fromBoth({ labels }).labels), []);
  });
});

test('A9 labels called as what objects have are labels like others', () => {
  const labels = JSON.parse('{"__proto__":"a","constructor":"b","toString":"c"}') as Json;
  assert.deepEqual(new Map(Object.entries(fromBoth({ labels }).labels)), new Map(Object.entries(labels)));
});

test('whatever the labels, both formats give the same record', () => {
  const property = fc.property(fc.dictionary(fc.string(), fc.string()), fc.integer({ min: 1 }), (labels, version) => {
    const { labels: read } = fromBoth({ labels, resourceVersion: String(version) });
    assert.deepEqual({ ...read }, { ...labels });
  });
  fc.assert(property, { numRuns: 500 });
});

describe('B6 what can be salvaged of an unreadable namespace', () => {
  for (const format of ['json', 'protobuf'] as const) {
    const salvage = (metadata: Json): ReturnType<typeof reader.salvage> => {
      const object = { metadata: { ...METADATA, ...metadata } };
      const bytes = format === 'json' ? Buffer.from(JSON.stringify(object)) : encodeMessage('Namespace', object);
      return reader.salvage(bytes, format, new Error('why'));
    };

    test(`B6 from ${format}: who it is; without a uid the name is the key, without a name the bytes are`, () => {
      assert.deepEqual(salvage({}), { key: 'u-1', namespace: '', name: 'shop', ips: [], reason: 'why' });
      assert.equal(salvage({ uid: '' }).key, '/shop');
      assert.match(salvage({ uid: '', name: '' }).key, /^[0-9a-f]{64}$/);
    });
  }
});
