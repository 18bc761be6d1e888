import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { JSON_TYPE, PROTOBUF } from './client.ts';
import type { Client, Seen } from './client.ts';
import type { Subject } from './subject.ts';

export const NAMESPACES = '/api/v1/namespaces';
export const as = (kind: string): string => `;as=${kind};g=meta.k8s.io;v=v1`;
const PARTIAL = 'PartialObjectMetadata';
const SYNC =
  'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1';

/** What podwhois relies on when it lists and watches the metadata of namespaces. */
export function namespacesContract(opened: () => { readonly client: Client; readonly subject: Subject }): void {
  let count = 0;

  /** A namespace that no other test touches, how it is selected, and as what it is told of. */
  async function one(): Promise<{ readonly name: string; readonly only: string; readonly key: string }> {
    const name = `labelled-${++count}`;
    await opened().subject.createNamespace(name, { team: 'a', 'contract/of': name });
    return { name, only: `labelSelector=contract%2Fof%3D${name}`, key: `/${name}` };
  }

  const teams = (events: readonly Seen[]): string[] => events.map(({ type, labels }) => `${type} ${labels['team']}`);

  for (const type of [JSON_TYPE, PROTOBUF]) {
    describe(`namespaces in ${type}`, () => {
      test('a list of their metadata: each has a uid, a version and its name among its labels', async () => {
        const { key } = await one();
        const { client } = opened();
        const list = await client.list(NAMESPACES, type + as(`${PARTIAL}List`));
        assert.equal(list.kind, `${PARTIAL}List`);
        const keys = list.items.map((item) => item.key);
        assert.ok(['/default', '/kube-system', key].every((expected) => keys.includes(expected)));
        assert.deepEqual(keys, keys.toSorted());
        for (const item of list.items) {
          assert.ok(item.uid !== '' && item.version > 0 && item.version <= list.version);
          assert.equal(`/${item.labels['kubernetes.io/metadata.name']}`, item.key);
          // Only JSON's elements say what they are.
          assert.equal(item.kind, type === JSON_TYPE ? PARTIAL : '');
        }
      });

      test('whole ones show the same of themselves', async () => {
        const { only } = await one();
        const { client } = opened();
        const whole = await client.list(`${NAMESPACES}?${only}`, type);
        const partial = await client.list(`${NAMESPACES}?${only}`, type + as(`${PARTIAL}List`));
        assert.equal(whole.kind, 'NamespaceList');
        const seen = ({ key, uid, version, labels }: Seen): object => ({ key, uid, version, labels });
        assert.deepEqual(partial.items.map(seen), whole.items.map(seen));
        assert.equal(whole.items[0]?.phase, 'Active');
      });

      test('pages', async () => {
        const { client } = opened();
        const accept = type + as(`${PARTIAL}List`);
        const first = await client.list(`${NAMESPACES}?limit=2`, accept);
        assert.equal(first.items.length, 2);
        const next = await client.list(`${NAMESPACES}?limit=2&continue=${encodeURIComponent(first.continue)}`, accept);
        assert.equal(next.version, first.version);
        assert.ok((next.items[0]?.key ?? '') > (first.items[1]?.key ?? '~'));
      });

      test('a watch tells of new labels, of the end, and of a namespace that is made anew under another uid', async () => {
        const { client, subject } = opened();
        const { name, only } = await one();
        const { version, items } = await client.list(`${NAMESPACES}?${only}`, type);
        await subject.setNamespaceLabels(name, { team: 'b', 'contract/of': name });
        await subject.deleteNamespace(name);
        await subject.createNamespace(name, { team: 'c', 'contract/of': name });
        const path = `${NAMESPACES}?watch=1&timeoutSeconds=1&${only}&resourceVersion=${version}`;
        const events = await client.watch(path, type + as(PARTIAL));
        for (const { kind } of events) assert.equal(kind, PARTIAL);
        // Some servers show that it is terminating, some do not.
        const told = teams(events).filter((text, i, all) => text !== all[i - 1]);
        assert.deepEqual(told, ['MODIFIED b', 'DELETED b', 'ADDED c']);
        const [uid] = items.map((item) => item.uid);
        assert.deepEqual([events[0]?.uid, events.at(-2)?.uid], [uid, uid]);
        assert.notEqual(events.at(-1)?.uid, uid);
        const versions = events.map((event) => event.version);
        assert.deepEqual(
          versions,
          versions.toSorted((a, b) => a - b),
        );
      });

      test('a sync ends with a bookmark that says so, cut down like the rest', async () => {
        const { client } = opened();
        const { only, key } = await one();
        const events = await client.watch(`${NAMESPACES}?${SYNC}&${only}`, type + as(PARTIAL));
        assert.deepEqual([events[0]?.type, events[0]?.key], ['ADDED', key]);
        assert.deepEqual([events[1]?.type, events[1]?.initialEventsEnd], ['BOOKMARK', true]);
        for (const { kind } of events) assert.equal(kind, PARTIAL);
      });
    });
  }

  test('a list is none of an object: 406 in the same words', async () => {
    const refusal = await opened().client.refusal(NAMESPACES, JSON_TYPE + as(PARTIAL));
    const words = `you requested ${PARTIAL}, but the requested object is a list (*core.NamespaceList)`;
    assert.deepEqual(refusal, [406, 'NotAcceptable', words]);
  });

  test('a namespace that is not there is a 404', async () => {
    const refusal = await opened().client.refusal(`${NAMESPACES}/nowhere`);
    assert.deepEqual(refusal, [404, 'NotFound', 'namespaces "nowhere" not found']);
  });

  test('what namespaces can be selected by', async () => {
    const { client } = opened();
    const { name } = await one();
    const chosen = async (query: string): Promise<string> =>
      (await client.list(`${NAMESPACES}?${query}`)).items.map(({ key }) => key).join(' ');
    assert.equal(await chosen(`fieldSelector=metadata.name%3D${name}`), `/${name}`);
    assert.equal(await chosen(`labelSelector=kubernetes.io%2Fmetadata.name%3D${name}`), `/${name}`);
    const [code, , message] = await client.refusal(`${NAMESPACES}?fieldSelector=spec.nodeName%3Da`);
    assert.equal(code, 400);
    assert.match(message, /^field label not supported: spec\.nodeName$/);
  });
}
