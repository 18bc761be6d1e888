import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Cluster } from '../../src/simulator/cluster.ts';
import { envelope, frame } from '../../src/simulator/encoding/framing.ts';
import { encodeJson } from '../../src/simulator/encoding/json.ts';
import { MESSAGES } from '../../src/simulator/encoding/messages.ts';
import { encodeMessage } from '../../src/simulator/encoding/protobuf.ts';
import { share } from '../../src/simulator/encoding/shared.ts';

/** Recorded from kube-apiserver 1.36.3: the same pods in both formats. */
const recorded = JSON.parse(readFileSync(join(import.meta.dirname, 'real-pods.golden.json'), 'utf8')) as {
  readonly json: { readonly metadata: { readonly name: string } };
  readonly protobuf: string;
}[];

test('pods of a real API server are encoded byte for byte as it does itself', () => {
  assert.ok(recorded.length >= 5);
  for (const { json, protobuf } of recorded)
    assert.equal(Buffer.from(encodeMessage('Pod', json)).toString('base64'), protobuf, json.metadata.name);
});

test('lists of namespaces of a real API server, whole and cut down, are encoded byte for byte as it does itself', () => {
  const golden = (name: string, suffix: string): Buffer =>
    readFileSync(join(import.meta.dirname, '../kubernetes/golden', `${name}.golden.${suffix}`));
  for (const [name, kind] of [
    ['namespaces-whole', 'NamespaceList'],
    ['namespaces', 'PartialObjectMetadataList'],
  ] as const) {
    const message = encodeMessage(kind, JSON.parse(golden(name, 'json').toString()) as object);
    const { head, tail } = envelope(kind, message.length);
    assert.equal(Buffer.concat([head, message, tail]).toString('latin1'), golden(name, 'pb').toString('latin1'));
  }
});

test('what is shared is encoded as if it were not', () => {
  const { json } = recorded[0] ?? {};
  const { metadata, spec } = json as unknown as { metadata: { labels: object }; spec: { containers: object[] } };
  const containers = share([...spec.containers]);
  const sharing = {
    ...json,
    metadata: { ...metadata, labels: share({ ...metadata.labels }) },
    spec: { ...spec, containers },
  };
  for (let i = 0; i < 2; i++) {
    assert.equal(Buffer.from(encodeMessage('Pod', sharing)).toString('base64'), recorded[0]?.protobuf);
    assert.equal(encodeJson(sharing), JSON.stringify(json));
  }
  // As another field it has another tag.
  const twice = share({ limits: { cpu: '1' } });
  const container = Buffer.from(encodeMessage('Container', { name: 'c', resources: twice })).toString('base64');
  assert.equal(
    container,
    Buffer.from(encodeMessage('Container', { name: 'c', resources: { ...twice } })).toString('base64'),
  );
  const status = Buffer.from(encodeMessage('ContainerStatus', { name: 'c', resources: twice })).toString('base64');
  assert.equal(
    status,
    Buffer.from(encodeMessage('ContainerStatus', { name: 'c', resources: { ...twice } })).toString('base64'),
  );
});

test('JSON is what JSON.stringify makes of it', () => {
  const cluster = new Cluster({ pods: 60, now: () => 1_795_262_400_000 });
  cluster.step(200);
  for (const { object } of cluster.store.objects) assert.equal(encodeJson(object), JSON.stringify(object));
  for (const value of [null, 'ü"\n\u2028', [], {}, [[1, 'a'], {}], { a: undefined, b: [null] }, { constructor: 1 }])
    assert.equal(encodeJson(value), JSON.stringify(value));
});

test('every message named in the table is in the table', () => {
  const scalars = new Set(['b', 'i', 'Time', 'Quantity', 'IntOrString', 'FieldsV1']);
  for (const [message, notes] of Object.entries(MESSAGES)) {
    let last = 0;
    for (const note of notes.split(' ')) {
      const [, tag, , type] = /^(\d+)[!*%^]?(\w+)(?::(\w+))?$/.exec(note) ?? assert.fail(`${message}: ${note}`);
      if (type !== undefined && !scalars.has(type)) assert.ok(Object.hasOwn(MESSAGES, type), `${message}: ${type}`);
      assert.ok(Number(tag) > last, `${message}: ${note} is out of order`);
      last = Number(tag);
    }
  }
});

test('a frame and the envelope in it are what kube-apiserver 1.36.3 sent', () => {
  // The first bytes of a watch: a pod of 845 (0x34d) bytes, ADDED.
  const { head, tail } = frame('ADDED', 'Pod', 0x34d);
  assert.equal(
    Buffer.from(head).toString('hex'),
    '000003700a05414444454412e6060ae3066b3873000a090a0276311203506f6412cd06',
  );
  assert.equal(Buffer.from(tail).toString('hex'), '1a002200');
});
