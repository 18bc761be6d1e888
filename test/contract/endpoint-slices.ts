import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { canonicalIp } from '../../src/index/ip-address.ts';
import { endpointSliceReader } from '../../src/kubernetes/endpoint-slice-from-api.ts';
import { json } from '../../src/kubernetes/wire/json.ts';
import { protobuf } from '../../src/kubernetes/wire/protobuf.ts';
import type { EndpointSlice } from '../../src/endpoint-slice.ts';
import { JSON_TYPE, PROTOBUF } from './client.ts';
import type { Client, Seen } from './client.ts';
import type { SliceToWrite, Subject } from './subject.ts';

const SLICES = '/apis/discovery.k8s.io/v1/endpointslices';
const SYNC =
  'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1';
const READERS = [
  [JSON_TYPE, json],
  [PROTOBUF, protobuf],
] as const;

/** What podwhois relies on when it lists and watches EndpointSlices. */
export function endpointSlicesContract(opened: () => { readonly client: Client; readonly subject: Subject }): void {
  const reader = endpointSliceReader(canonicalIp);
  let count = 0;

  const slice = (namespace: string, change: Partial<SliceToWrite> = {}): SliceToWrite => ({
    namespace,
    name: 'web-a',
    labels: { 'kubernetes.io/service-name': 'web', tier: 'a' },
    addressType: 'IPv4',
    endpoints: [
      {
        addresses: ['10.1.0.1'],
        conditions: { ready: true, serving: true, terminating: false },
        nodeName: 'node-0',
        targetRef: { kind: 'Pod', namespace, name: 'web-1', uid: 'uid-1' },
      },
      { addresses: ['10.1.0.2'], targetRef: { kind: 'Pod', namespace, name: 'web-2', uid: 'uid-2' } },
      {
        addresses: ['10.1.0.3'],
        conditions: { ready: false },
        targetRef: { kind: 'Pod', namespace, name: 'web-3', uid: 'uid-3' },
      },
      { addresses: ['192.0.2.1'], conditions: { ready: true } },
    ],
    ...change,
  });

  async function one(): Promise<{ readonly namespace: string; readonly path: string }> {
    const namespace = `slices-${++count}`;
    await opened().subject.writeEndpointSlice(slice(namespace));
    return { namespace, path: `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices` };
  }

  const read = async (path: string): Promise<readonly EndpointSlice[]> => {
    const [inJson, inProtobuf] = await Promise.all(
      READERS.map(async ([type, format]) => {
        const { body } = await opened().client.get(path, type);
        const { items, unreadable } = format.list(body, reader);
        assert.deepEqual(unreadable, []);
        return items;
      }),
    );
    assert.ok(inJson);
    assert.deepEqual(inProtobuf, inJson);
    return inJson;
  };
  const told = (events: readonly Seen[]): string[] => events.map(({ type, labels }) => `${type} ${labels['tier']}`);

  test('EndpointSlices: both formats give the identical record', async () => {
    const { namespace, path } = await one();
    const [record, ...more] = await read(path);
    assert.equal(more.length, 0);
    const { uid, resourceVersion, labels, ...rest } = record ?? assert.fail();
    assert.ok(uid !== '' && Number(resourceVersion) > 0);
    assert.equal(labels['tier'], 'a');
    const pods = [
      { uid: 'uid-1', name: 'web-1', ip: '10.1.0.1', ready: true },
      { uid: 'uid-2', name: 'web-2', ip: '10.1.0.2', ready: true },
      { uid: 'uid-3', name: 'web-3', ip: '10.1.0.3', ready: false },
    ];
    assert.deepEqual(rest, { namespace, name: 'web-a', service: 'web', pods, skipped: 1 });
  });

  for (const [type] of READERS) {
    describe(`EndpointSlices in ${type}`, () => {
      test('a list of all namespaces, in the order of namespace/name, and its pages', async () => {
        const { namespace } = await one();
        const { client } = opened();
        const list = await client.list(SLICES, type);
        assert.equal(list.kind, 'EndpointSliceList');
        const keys = list.items.map(({ key }) => key);
        assert.ok(keys.includes(`${namespace}/web-a`));
        assert.deepEqual(keys, keys.toSorted());
        // At that version: other tests make slices meanwhile.
        const page = await client.list(
          `${SLICES}?limit=1&resourceVersion=${list.version}&resourceVersionMatch=Exact`,
          type,
        );
        assert.deepEqual([page.items.length, page.items[0]?.key], [1, keys[0]]);
      });

      test('by their labels and by their names, and nothing else', async () => {
        const { namespace, path } = await one();
        const { client, subject } = opened();
        await subject.writeEndpointSlice(slice(namespace, { name: 'other', labels: { tier: 'b' } }));
        const chosen = async (query: string): Promise<string> =>
          (await client.list(`${path}?${query}`, type)).items.map(({ key }) => key.split('/')[1]).join(' ');
        assert.equal(await chosen('labelSelector=kubernetes.io%2Fservice-name%3Dweb'), 'web-a');
        assert.equal(await chosen('labelSelector=tier+in+(b,c)'), 'other');
        assert.equal(await chosen('fieldSelector=metadata.name%3Dother'), 'other');
        const [code, , message] = await client.refusal(`${path}?fieldSelector=spec.nodeName%3Da`);
        assert.equal(code, 400);
        assert.match(message, /^"spec\.nodeName" is not a known field selector: only "metadata\.name"/);
      });

      test('a watch tells of changes, of the end, and of one made anew under another uid', async () => {
        const { namespace, path } = await one();
        const { client, subject } = opened();
        const { version, items } = await client.list(path, type);
        await subject.writeEndpointSlice(slice(namespace, { labels: { tier: 'b' }, endpoints: [] }));
        await subject.deleteEndpointSlice(namespace, 'web-a');
        await subject.writeEndpointSlice(slice(namespace, { labels: { tier: 'c' } }));
        const events = await client.watch(`${path}?watch=1&timeoutSeconds=1&resourceVersion=${version}`, type);
        assert.deepEqual(told(events), ['MODIFIED b', 'DELETED b', 'ADDED c']);
        for (const { kind } of events) assert.equal(kind, 'EndpointSlice');
        assert.equal(events[1]?.uid, items[0]?.uid);
        assert.notEqual(events[2]?.uid, items[0]?.uid);
      });

      test('a watch by labels tells of one that leaves as of a deleted one', async () => {
        const { namespace, path } = await one();
        const { client, subject } = opened();
        const { version } = await client.list(path, type);
        await subject.writeEndpointSlice(slice(namespace, { labels: { tier: 'b' } }));
        const query = `watch=1&timeoutSeconds=1&resourceVersion=${version}&labelSelector=tier%3Da`;
        assert.deepEqual(told(await client.watch(`${path}?${query}`, type)), ['DELETED a']);
      });

      test('a sync ends with a bookmark that says so', async () => {
        const { path } = await one();
        const events = await opened().client.watch(`${path}?${SYNC}`, type);
        const seen = events.map(({ type, kind, initialEventsEnd }) => `${type} ${kind} ${initialEventsEnd}`);
        assert.deepEqual(seen.slice(0, 2), ['ADDED EndpointSlice false', 'BOOKMARK EndpointSlice true']);
      });
    });
  }

  test('an EndpointSlice that is not there is a 404 that names its group', async () => {
    const { path } = await one();
    const refusal = await opened().client.refusal(`${path}/nowhere`);
    assert.deepEqual(refusal, [404, 'NotFound', 'endpointslices.discovery.k8s.io "nowhere" not found']);
  });
}
