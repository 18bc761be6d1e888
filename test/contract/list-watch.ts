import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client, JSON_TYPE, PROTOBUF } from './client.ts';
import type { Seen } from './client.ts';
import { endpointSlicesContract } from './endpoint-slices.ts';
import { as, NAMESPACES, namespacesContract } from './namespaces.ts';
import type { Subject } from './subject.ts';

const SYNC =
  'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1';
const NAMES = ['alpha', 'bravo', 'charlie', 'delta', 'echo'];

const keys = (events: readonly Seen[]): string[] => events.map(({ type, key }) => `${type} ${key}`);

/**
 * What podwhois relies on when it lists and watches. Run on the simulator and on a real API server, so that the simulator
 * cannot teach podwhois a server that does not exist.
 */
export function listWatchContract(open: () => Promise<Subject>): void {
  let subject: Subject;
  let client: Client;
  let count = 0;

  before(async () => {
    subject = await open();
    client = new Client(subject);
  });
  after(async () => {
    await client?.close();
    await subject?.close();
  });

  /** A namespace with five pods that no other test touches, and the path of its pods. */
  async function five(): Promise<{ readonly namespace: string; readonly pods: string }> {
    const namespace = `contract-${++count}`;
    for (const name of NAMES)
      await subject.createPod({ namespace, name, labels: { app: name, tier: 'a' }, node: 'node-0' });
    return { namespace, pods: `/api/v1/namespaces/${namespace}/pods` };
  }

  describe('while the history is kept', { concurrency: true }, () => {
    namespacesContract(() => ({ client, subject }));
    endpointSlicesContract(() => ({ client, subject }));

    for (const accept of [JSON_TYPE, PROTOBUF]) {
      describe(`in ${accept}`, () => {
        test('a list is in the order of namespace/name, and at least as new as all of its pods', async () => {
          const { namespace, pods } = await five();
          const list = await client.list(pods, accept);
          assert.deepEqual(
            list.items.map(({ key }) => key),
            NAMES.map((name) => `${namespace}/${name}`),
          );
          for (const pod of list.items) assert.ok(pod.version <= list.version && pod.version > 0 && pod.uid !== '');
        });

        test('a consistent list of one pod shows a newer version after something else than pods changed', async () => {
          const { pods } = await five();
          const first = await client.list(`${pods}?limit=1`, accept);
          await subject.bump();
          const second = await client.list(`${pods}?limit=1`, accept);
          assert.equal(second.items.length, 1);
          assert.ok(second.version > first.version);
          assert.equal(second.items[0]?.version, first.items[0]?.version);
        });

        test('pages show one instant, whatever happens between them', async () => {
          const { namespace, pods } = await five();
          const first = await client.list(`${pods}?limit=2`, accept);
          await subject.createPod({ namespace, name: 'between' });
          await subject.patchStatus(namespace, 'delta', { phase: 'Running', ip: '10.42.9.9' });
          await subject.deletePod(namespace, 'echo');
          const found = [...first.items];
          let page = first;
          while (page.continue !== '') {
            page = await client.list(`${pods}?limit=2&continue=${encodeURIComponent(page.continue)}`, accept);
            assert.equal(page.version, first.version);
            found.push(...page.items);
          }
          assert.deepEqual(
            found.map(({ key, phase }) => `${key} ${phase}`),
            NAMES.map((name) => `${namespace}/${name} Pending`),
          );
        });

        test('a watch from a version gives what happened after it, in order, deletions with their own version', async () => {
          const { namespace, pods } = await five();
          const { version } = await client.list(`${pods}?limit=1`, accept);
          await subject.createPod({ namespace, name: 'foxtrot' });
          await subject.patchStatus(namespace, 'alpha', { phase: 'Running', ip: '10.42.9.1' });
          await subject.deletePod(namespace, 'foxtrot');
          const events = await client.watch(`${pods}?watch=1&timeoutSeconds=1&resourceVersion=${version}`, accept);
          // Of a pod that is deleted at once, some servers show that it is terminating, some do not.
          const told = events.filter(({ type, key }) => type !== 'MODIFIED' || key !== `${namespace}/foxtrot`);
          assert.deepEqual(keys(told), [
            `ADDED ${namespace}/foxtrot`,
            `MODIFIED ${namespace}/alpha`,
            `DELETED ${namespace}/foxtrot`,
          ]);
          const versions = events.map((event) => event.version);
          assert.deepEqual(
            versions,
            versions.toSorted((a, b) => a - b),
          );
          assert.equal(new Set([version, ...versions]).size, 1 + events.length);
          assert.equal(told[1]?.podIp, '10.42.9.1');
          assert.equal(told[2]?.uid, told[0]?.uid);
        });

        test('a sync gives every pod once, in the order of keys, and then the bookmark that ends the initial events', async () => {
          const { namespace, pods } = await five();
          await subject.bump();
          const { version } = await client.list(`${pods}?limit=1`, accept);
          const events = await client.watch(`${pods}?${SYNC}`, accept);
          const end = events.findIndex((event) => event.initialEventsEnd);
          const initial = NAMES.map((name) => `ADDED ${namespace}/${name}`);
          assert.deepEqual(keys(events.slice(0, end)), initial);
          assert.ok((events[end]?.version ?? 0) >= version);
          // Ordinary bookmarks may follow.
          for (const { type, initialEventsEnd } of events.slice(end + 1))
            assert.deepEqual([type, initialEventsEnd], ['BOOKMARK', false]);
        });

        test('a sync from a future version ends with an in-stream 504', async () => {
          const [event, ...more] = await client.watch(`/api/v1/pods?${SYNC}&resourceVersion=999999999`, accept);
          assert.deepEqual([event?.type, event?.code, more.length], ['ERROR', 504, 0]);
        });

        test('a bookmark comes some two seconds before the end of a watch that nothing else reached', async () => {
          const { pods } = await five();
          const { version } = await client.list(`${pods}?limit=1`, accept);
          const path = `${pods}?watch=1&timeoutSeconds=6&allowWatchBookmarks=true&resourceVersion=${version}`;
          let events: Awaited<ReturnType<typeof client.watch>> = [];
          // A real API server promises none: one that has too much to do leaves it out.
          for (let attempt = 0; attempt < 3 && events.length === 0; attempt++) {
            await subject.bump();
            await client.list(`${pods}?limit=1`, accept); // a consistent read makes the watch cache look
            events = await client.watch(path, accept);
          }
          assert.ok(events.length > 0);
          for (const { type, version: reached, initialEventsEnd } of events) {
            assert.deepEqual([type, initialEventsEnd], ['BOOKMARK', false]);
            assert.ok(reached > version);
          }
        });

        test('with a selector, a pod that leaves is DELETED as it was, with the version of its leaving; one that comes is ADDED', async () => {
          const { namespace, pods } = await five();
          const { version } = await client.list(`${pods}?limit=1`, accept);
          await subject.setLabels(namespace, 'bravo', { tier: 'b' });
          await subject.setLabels(namespace, 'charlie', { other: 'x' });
          await subject.setLabels(namespace, 'bravo', { tier: 'a' });
          const events = await client.watch(
            `${pods}?watch=1&timeoutSeconds=1&labelSelector=tier%3Da&resourceVersion=${version}`,
            accept,
          );
          assert.deepEqual(keys(events), [
            `DELETED ${namespace}/bravo`,
            `MODIFIED ${namespace}/charlie`,
            `ADDED ${namespace}/bravo`,
          ]);
          assert.equal(events[0]?.labels['tier'], 'a');
          assert.ok((events[0]?.version ?? 0) > version && (events[0]?.version ?? 0) < (events[1]?.version ?? 0));
        });

        test('the format that was asked for first is the one that comes', async () => {
          const other = accept === JSON_TYPE ? PROTOBUF : JSON_TYPE;
          const list = await client.get('/api/v1/pods?limit=1', `${accept}, ${other}`);
          assert.equal(list.contentType, accept);
          const watch = await client.get('/api/v1/pods?watch=1&timeoutSeconds=1', `${accept}, ${other}`);
          assert.equal(watch.contentType, accept === PROTOBUF ? `${PROTOBUF};stream=watch` : JSON_TYPE);
        });
      });
    }

    test('what cannot be had in any wanted format is a 406', async () => {
      const [code, reason] = await client.refusal('/api/v1/pods', 'text/plain');
      assert.deepEqual([code, reason], [406, 'NotAcceptable']);
    });

    test('selectors by label and field choose alike in lists', async () => {
      const { namespace, pods } = await five();
      await subject.patchStatus(namespace, 'alpha', { phase: 'Running', ip: '10.42.9.7' });
      const chosen = async (query: string): Promise<string> => {
        const { items } = await client.list(`${pods}?${query}`);
        return items.map(({ key }) => key.split('/')[1]).join(' ');
      };
      const label = async (text: string): Promise<string> => await chosen(`labelSelector=${encodeURIComponent(text)}`);
      const field = async (text: string): Promise<string> => await chosen(`fieldSelector=${encodeURIComponent(text)}`);
      assert.equal(await label('app=alpha'), 'alpha');
      assert.equal(await label('app==alpha,tier=a'), 'alpha');
      assert.equal(await label('app!=alpha,app!=echo'), 'bravo charlie delta');
      assert.equal(await label('app in (bravo, delta)'), 'bravo delta');
      assert.equal(await label('app notin (bravo,delta),tier'), 'alpha charlie echo');
      assert.equal(await label('!tier'), '');
      assert.equal(await label('!nothing'), NAMES.join(' '));
      assert.equal(await field('metadata.name=echo'), 'echo');
      assert.equal(await field('metadata.name!=echo,status.phase=Pending'), 'bravo charlie delta');
      assert.equal(await field('status.podIP=10.42.9.7'), 'alpha');
      assert.equal(await field('spec.nodeName=node-0'), NAMES.join(' '));
      assert.equal(await field('spec.nodeName!=node-0'), '');
      assert.equal(await field(`metadata.namespace=${namespace}`), NAMES.join(' '));
    });

    test('wrong options are refused in the same words', async () => {
      const path = '/api/v1/pods?';
      const words: readonly (readonly [string, number, string, RegExp])[] = [
        ['fieldSelector=spec.foo%3Db', 400, 'BadRequest', /^field label not supported: spec\.foo$/],
        ['fieldSelector=spec.nodeName', 400, 'BadRequest', /^invalid selector: 'spec\.nodeName'; can't understand/],
        ['labelSelector=a%20in%20(b', 400, 'BadRequest', /^unable to parse requirement/],
        ['limit=abc', 400, 'BadRequest', /parsing "abc": invalid syntax$/],
        ['resourceVersion=abc', 400, 'BadRequest', /^invalid resource version: /],
        ['limit=1&continue=foo', 400, 'BadRequest', /^invalid continue token: continue key is not valid/],
        ['resourceVersionMatch=Exact', 422, 'Invalid', /forbidden unless resourceVersion is provided$/],
        ['resourceVersion=0&resourceVersionMatch=Exact', 422, 'Invalid', /forbidden for resourceVersion "0"$/],
        ['resourceVersion=5&resourceVersionMatch=Foo', 422, 'Invalid', /Unsupported value: "Foo"/],
        ['sendInitialEvents=true', 422, 'Invalid', /sendInitialEvents is forbidden for list$/],
        ['watch=1&sendInitialEvents=true', 422, 'Invalid', /requires setting resourceVersionMatch to NotOlderThan$/],
        [
          'watch=1&sendInitialEvents=true&resourceVersionMatch=Exact',
          422,
          'Invalid',
          /supported values: "NotOlderThan"\]$/,
        ],
        ['watch=1&resourceVersionMatch=NotOlderThan', 422, 'Invalid', /forbidden for watch unless sendInitialEvents/],
      ];
      for (const [query, code, reason, message] of words) {
        const refusal = await client.refusal(path + query);
        assert.deepEqual([query, ...refusal.slice(0, 2)], [query, code, reason]);
        assert.match(refusal[2], message, query);
      }
    });

    test('a list from a future version is a 504 that says when to come again', async () => {
      for (const query of ['', '&resourceVersionMatch=Exact', '&resourceVersionMatch=NotOlderThan']) {
        const answer = await client.get(`/api/v1/pods?resourceVersion=999999999${query}`);
        assert.deepEqual([answer.status, answer.retryAfter], [504, '1']);
        assert.match(
          answer.body.toString(),
          /Too large resource version: 999999999, current: \d+.*ResourceVersionTooLarge/,
        );
      }
    });

    test('a list of exactly a version shows what was then; one not older than it what is now', async () => {
      const { namespace, pods } = await five();
      const { version } = await client.list(pods);
      await subject.deletePod(namespace, 'alpha');
      const exact = await client.list(`${pods}?resourceVersion=${version}&resourceVersionMatch=Exact`);
      assert.deepEqual([exact.version, exact.items.length], [version, 5]);
      const newer = await client.list(`${pods}?resourceVersion=${version + 1}&resourceVersionMatch=NotOlderThan`);
      assert.equal(newer.items.length, 4);
      assert.ok(newer.version > version);
    });

    test('a watch from a future version is silent', async () => {
      const { pods } = await five();
      const events = await client.watch(`${pods}?watch=1&timeoutSeconds=1&resourceVersion=999999999`);
      assert.deepEqual(events, []);
    });

    test('a watch without a version is a sync too, and without bookmarks nothing says where the initial events end', async () => {
      const { namespace, pods } = await five();
      const all = NAMES.map((name) => `ADDED ${namespace}/${name}`);
      for (const version of ['', '&resourceVersion=0']) {
        const [marked, unmarked] = await Promise.all([
          client.watch(`${pods}?watch=1&timeoutSeconds=1&allowWatchBookmarks=true${version}`),
          client.watch(`${pods}?watch=1&timeoutSeconds=1${version}`),
        ]);
        assert.deepEqual(keys(unmarked), all);
        assert.deepEqual(keys(marked.slice(0, 6)), [...all, 'BOOKMARK /']);
        assert.equal(marked[5]?.initialEventsEnd, true);
      }
    });

    test('what is not there is a 404, and an empty namespace an empty list', async () => {
      const [code, reason, message] = await client.refusal('/api/v1/namespaces/default/pods/nobody');
      assert.deepEqual([code, reason, message], [404, 'NotFound', 'pods "nobody" not found']);
      assert.equal((await client.list('/api/v1/namespaces/nowhere/pods')).items.length, 0);
      assert.equal((await client.get('/apis/nothing')).status, 404);
    });
  });

  test('when the history is forgotten, a watch gets an in-stream 410, and a page and an exact list a 410', async () => {
    const { pods } = await five();
    const { version } = await client.list(pods);
    const page = await client.list(`${pods}?limit=2`);
    await subject.bump();
    await subject.forgetHistory();
    for (const accept of [JSON_TYPE, PROTOBUF]) {
      for (const [path, cut] of [
        [pods, ''],
        [NAMESPACES, as('PartialObjectMetadata')],
      ]) {
        const query = `watch=1&timeoutSeconds=2&resourceVersion=${version - 1}`;
        const events = await client.watch(`${path}?${query}`, accept + cut);
        assert.deepEqual(
          events.map(({ type, kind, code }) => [type, kind, code]),
          [['ERROR', 'Status', 410]],
        );
      }
    }
    const next = await client.refusal(`${pods}?limit=2&continue=${encodeURIComponent(page.continue)}`);
    assert.deepEqual(next.slice(0, 2), [410, 'Expired']);
    const exact = await client.refusal(`${pods}?resourceVersion=${version}&resourceVersionMatch=Exact`);
    assert.deepEqual(exact.slice(0, 2), [410, 'Expired']);
  });
}
