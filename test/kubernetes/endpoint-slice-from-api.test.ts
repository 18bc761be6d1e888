import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import type { EndpointSlice } from '../../src/endpoint-slice.ts';
import { canonicalIp } from '../../src/index/ip-address.ts';
import { endpointSliceReader } from '../../src/kubernetes/endpoint-slice-from-api.ts';
import { json } from '../../src/kubernetes/wire/json.ts';
import { encodeMessage } from '../../src/simulator/encoding/protobuf.ts';
import { envelopedMessage } from '../contract/client.ts';
import { FORMATS, golden } from './golden/golden.ts';

type Json = Readonly<Record<string, unknown>>;

const reader = endpointSliceReader(canonicalIp);
const METADATA = {
  name: 'web-a',
  namespace: 'shop',
  uid: 'u-1',
  resourceVersion: '5',
  labels: { 'kubernetes.io/service-name': 'web' },
};
const POD = { kind: 'Pod', namespace: 'shop', name: 'web-1', uid: 'p-1' };
const ENDPOINT = { addresses: ['10.1.0.1'], targetRef: POD };

const slice = (change: Json = {}): Json => ({
  metadata: METADATA,
  addressType: 'IPv4',
  endpoints: [ENDPOINT],
  ports: null,
  ...change,
});

/** Read from both formats: the same record. */
function fromBoth(change: Json): EndpointSlice {
  const object = slice(change);
  const one = reader.fromJson(JSON.parse(JSON.stringify(object)));
  assert.deepEqual(reader.fromProtobuf(encodeMessage('EndpointSlice', object)), one);
  return one;
}

const pod = (name: string, ip: string, ready = true): object => ({ uid: `uid-${name}`, name, ip, ready });

describe('EndpointSlices recorded from a real API server', () => {
  const lists = FORMATS.map((format) => format.list(golden('slices', format), reader));
  const records = new Map(lists[0]?.items.map((one) => [one.name, one]));
  const podsOf = (name: string): unknown => records.get(name)?.pods;

  test('both formats give the identical record of every kind', () => {
    assert.deepEqual(lists[0], lists[1]);
    assert.deepEqual(lists[0]?.unreadable, []);
    assert.equal(
      [...records.keys()].join(' '),
      'empty everything names no-pods nothing-is-said of-nobody six unlabelled',
    );
  });

  test('B12 a record is who it is, its labels, its Service and its pods, and nothing else', () => {
    const { uid, resourceVersion, labels, ...rest } = records.get('everything') ?? assert.fail();
    assert.match(uid, /^[0-9a-f-]{36}$/);
    assert.match(resourceVersion, /^[1-9][0-9]*$/);
    assert.deepEqual({ ...labels }, { 'kubernetes.io/service-name': 'web', tier: 'a' });
    assert.equal(Object.getPrototypeOf(labels), null, 'A9');
    const pods = [pod('web-1', '10.1.0.1'), pod('web-2', '10.1.0.2', false)];
    assert.deepEqual(rest, { namespace: 'golden', name: 'everything', service: 'web', pods, skipped: 0 });
  });

  test('D1 the address of the other family', () => assert.deepEqual(podsOf('six'), [pod('web-1', 'fd00::1')]));

  test('an endpoint of which nothing is known is ready, whatever else is said of it', () => {
    assert.deepEqual(podsOf('nothing-is-said'), [pod('nil-ready', '10.1.0.3'), pod('nil-ready-2', '10.1.0.4')]);
  });

  test('no pod, one without a uid, something else than a pod, a name for an address: skipped and counted', () => {
    const counted = ['no-pods', 'names'].map((name) => [records.get(name)?.pods, records.get(name)?.skipped]);
    assert.deepEqual(counted, [
      [[], 3],
      [[], 1],
    ]);
  });

  test('of no Service: the label is not there, or nothing is', () => {
    assert.deepEqual(
      ['of-nobody', 'unlabelled', 'empty'].map((name) => records.get(name)?.service),
      ['', '', 'empty'],
    );
  });

  test('a page has the token of the next one', () => {
    for (const format of FORMATS) {
      const page = format.list(golden('slices-page', format), reader);
      assert.ok(page.items.length === 2 && page.continue.length > 10);
    }
  });

  test('a watch tells the same in both formats: initial events, their end, a life, a bookmark', () => {
    const [one, other] = FORMATS.map((format) => format.watch(reader).push(golden('slices-watch', format)));
    assert.ok(one);
    assert.deepEqual(other, one);
    const types = one.map((event) => (event.type === 'BOOKMARK' && event.initialEventsEnd ? 'END' : event.type));
    assert.match(types.join(' '), /^(ADDED ){8}END ADDED MODIFIED MODIFIED DELETED( BOOKMARK)+$/);
    const life = one
      .slice(9)
      .flatMap((event) =>
        'object' in event && 'pods' in event.object ? [[event.object.service, event.object.pods[0]?.ready]] : [],
      );
    assert.deepEqual(life, [
      ['', true],
      ['web', true],
      ['web', false],
      ['web', false],
    ]);
  });

  test('in-stream ERROR: a version that is gone is a Status in the stream', () => {
    for (const format of FORMATS) {
      const [event] = format.watch(reader).push(golden('slices-gone', format));
      assert.ok(event?.type === 'ERROR' && event.status.code === 410);
    }
  });

  test('the simulator encodes what the real one sent byte for byte alike', () => {
    const [inProtobuf, inJson] = FORMATS.map((format) => golden('slices', format));
    assert.ok(inProtobuf && inJson);
    const list = JSON.parse(inJson.toString()) as object;
    const encoded = Buffer.from(encodeMessage('EndpointSliceList', list));
    assert.equal(encoded.toString('latin1'), Buffer.from(envelopedMessage(inProtobuf)).toString('latin1'));
  });

  test('objects of another kind are a fault of the stream', () => {
    assert.throws(() => json.list(golden('list', json), reader), /PodList/);
  });
});

describe('B6 what makes an EndpointSlice unreadable', () => {
  for (const field of ['uid', 'namespace', 'name', 'resourceVersion']) {
    test(`B6 no ${field}`, () => {
      for (const value of ['', undefined, null]) {
        const object = slice({ metadata: { ...METADATA, [field]: value } });
        assert.throws(() => reader.fromJson(object), new RegExp(field));
        assert.throws(() => reader.fromProtobuf(encodeMessage('EndpointSlice', object)), new RegExp(field));
      }
    });
  }

  test('B6 a version that cannot be ordered', () => {
    for (const resourceVersion of ['0', '05', 'a', '-1']) {
      const object = slice({ metadata: { ...METADATA, resourceVersion } });
      assert.throws(() => reader.fromJson(object), /cannot be ordered/);
    }
  });

  test('B6 a wrong type, wherever it is', () => {
    const wrong: readonly Json[] = [
      { metadata: [] },
      { metadata: { ...METADATA, labels: [] } },
      { addressType: 4 },
      { endpoints: {} },
      { endpoints: ['x'] },
      { endpoints: [{ addresses: '10.1.0.1' }] },
      { endpoints: [{ addresses: [1] }] },
      { endpoints: [{ ...ENDPOINT, conditions: { ready: 'true' } }] },
      { endpoints: [{ ...ENDPOINT, targetRef: 'web-1' }] },
      { endpoints: [{ ...ENDPOINT, targetRef: { ...POD, uid: 7 } }] },
    ];
    for (const change of wrong) assert.throws(() => reader.fromJson(slice(change)), JSON.stringify(change));
    for (const nothing of [null, undefined, 1, 'x', [], {}]) assert.throws(() => reader.fromJson(nothing));
  });

  test('B6 bytes that end too early or too late', () => {
    const bytes = Buffer.from(encodeMessage('EndpointSlice', slice()));
    const addressType = 6;
    // Between its fields a message may end: then the type of the addresses is missing, and there are none.
    const between = [encodeMessage('EndpointSlice', slice({ endpoints: [] })).length, bytes.length];
    const whole = new Set(between.map((end) => end - addressType));
    for (let end = 0; end < bytes.length; end++) {
      const read = (): EndpointSlice => reader.fromProtobuf(bytes.subarray(0, end));
      if (whole.has(end)) assert.deepEqual(read().pods, []);
      else assert.throws(read, `cut at ${end}`);
    }
    assert.throws(() => reader.fromProtobuf(Buffer.concat([bytes, Buffer.from([0x0a, 0x7f])])), /passes the end/);
  });
});

describe('what an endpoint is', () => {
  test('the first of its addresses', () => {
    const endpoints = [{ ...ENDPOINT, addresses: ['10.1.0.1', '10.1.0.2'] }];
    assert.deepEqual(fromBoth({ endpoints }).pods, [{ uid: 'p-1', name: 'web-1', ip: '10.1.0.1', ready: true }]);
  });

  test('D1 one that is canonical, or made so', () => {
    for (const [address, ip] of [
      ['FD00::1', 'fd00::1'],
      ['fd00:0:0::1', 'fd00::1'],
      ['::ffff:10.1.0.1', '10.1.0.1'],
    ]) {
      assert.equal(
        fromBoth({ addressType: 'IPv6', endpoints: [{ ...ENDPOINT, addresses: [address] }] }).pods[0]?.ip,
        ip,
      );
    }
  });

  test('not one whose address is none, is ambiguous, is not there, or only looks like one', () => {
    for (const addresses of [[], [''], ['010.0.0.1'], ['10.1.0.1:80'], ['fe80::1%eth0'], ['web.example.test']]) {
      const { pods, skipped } = fromBoth({ endpoints: [{ ...ENDPOINT, addresses }, ENDPOINT] });
      assert.deepEqual([pods.length, skipped], [1, 1], JSON.stringify(addresses));
    }
    assert.deepEqual(fromBoth({ addressType: 'FQDN' }).skipped, 1);
    assert.deepEqual(fromBoth({ addressType: '' }).skipped, 1);
  });

  test('null is as good as absent', () => {
    const endpoint = { addresses: null, conditions: null, targetRef: null, hostname: null };
    assert.equal(fromBoth({ endpoints: [endpoint] }).skipped, 1);
    assert.deepEqual(fromBoth({ endpoints: null }).pods, []);
    assert.equal(fromBoth({ endpoints: [{ ...ENDPOINT, conditions: { ready: null } }] }).pods[0]?.ready, true);
  });

  test('whatever it holds, both formats give the same record', () => {
    const text = fc.string({ maxLength: 12 });
    const endpoint = fc.record(
      {
        addresses: fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), text), { maxLength: 3 }),
        conditions: fc.record({ ready: fc.boolean(), serving: fc.boolean() }, { requiredKeys: [] }),
        targetRef: fc.record({ kind: fc.constantFrom('Pod', 'Node', ''), name: text, uid: text }),
        nodeName: text,
        hints: fc.constant({ forZones: [{ name: 'a' }] }),
      },
      { requiredKeys: ['addresses'] },
    );
    const property = fc.property(
      fc.array(endpoint, { maxLength: 4 }),
      fc.constantFrom('IPv4', 'IPv6', 'FQDN'),
      fc.dictionary(text, text),
      (endpoints, addressType, labels) => {
        const { pods, skipped } = fromBoth({ endpoints, addressType, metadata: { ...METADATA, labels } });
        assert.equal(pods.length + skipped, endpoints.length);
      },
    );
    fc.assert(property, { numRuns: 500 });
  });

  test('A9 labels called as what objects have are labels like others', () => {
    const labels = JSON.parse('{"__proto__":"a","constructor":"b"}') as Json;
    const read = fromBoth({ metadata: { ...METADATA, labels } });
    assert.deepEqual(new Map(Object.entries(read.labels)), new Map(Object.entries(labels)));
    assert.equal(read.service, '');
  });
});

describe('B6 what can be salvaged of an unreadable EndpointSlice', () => {
  for (const format of ['json', 'protobuf'] as const) {
    test(`B6 from ${format}: who it is; without a uid the name is the key, without a name the bytes are`, () => {
      const salvage = (change: Json): ReturnType<typeof reader.salvage> => {
        const object = slice({ metadata: { ...METADATA, ...change } });
        const bytes = format === 'json' ? Buffer.from(JSON.stringify(object)) : encodeMessage('EndpointSlice', object);
        return reader.salvage(bytes, format, new Error('why'));
      };
      assert.deepEqual(salvage({}), { key: 'u-1', namespace: 'shop', name: 'web-a', ips: [], reason: 'why' });
      assert.equal(salvage({ uid: '' }).key, 'shop/web-a');
      assert.match(salvage({ uid: '', name: '' }).key, /^[0-9a-f]{64}$/);
    });
  }
});
