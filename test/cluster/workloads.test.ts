import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { CLUSTER, realServer } from '../support/real-servers.ts';
import { until } from '../support/until.ts';
import { deployment, handmade, job, namespace, pod, statefulSet } from './objects.ts';
import { Stage } from './stage.ts';
import { StreamFollower } from './stream-follower.ts';

const NODE = '192.0.2.1'; // what kwok gives its nodes and so to host-network pods
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe('workloads on a real control plane', { ...realServer(...CLUSTER), timeout: 180_000 }, () => {
  let stage: Stage;
  let follower: StreamFollower;
  before(async () => {
    stage = await Stage.up({}, { READY_MAX_STALENESS: '15s', RESYNC_INTERVAL: '10s' });
    follower = new StreamFollower(stage.podwhois.url);
  });
  after(async () => {
    await follower?.stop();
    await stage?.down();
  });

  describe('at the same time', { concurrency: true }, () => {
    test('Deployments roll, and their addresses are handed on at once', async () => {
      await stage.kubectl.apply(namespace('rolling'));
      const names = range(3).map((i) => `web-${i}`);
      for (const version of ['1', '2', '3', '4']) {
        const one = (name: string): object => deployment({ namespace: 'rolling', name }, 12, version);
        await stage.kubectl.apply(...names.map(one));
        for (const name of names) await stage.kubectl.run('rollout', 'status', `deploy/${name}`, '-n', 'rolling');
        follower.cut();
      }
      const { timeline } = stage.observer;
      const handedOn = timeline.addresses().filter((ip) => timeline.heldBy(ip) > 1 && ip !== NODE);
      assert.ok(handedOn.length >= 20, `only ${handedOn.length} addresses were handed on`);
    });

    test('Jobs finish, and their pods keep addresses that others get', async () => {
      await stage.kubectl.apply(namespace('jobs'), job({ namespace: 'jobs', name: 'sum' }, 8));
      await stage.kubectl.run('wait', '--for=condition=complete', 'job/sum', '-n', 'jobs', '--timeout=60s');
      const finished = await stage.podsOf('jobs');
      assert.equal(finished.length, 8);
      for (const [i, { status }] of finished.entries()) {
        const ip = status?.podIP ?? '';
        assert.deepEqual(await stage.answerFor(ip), { status: 404, reason: 'terminal' });
        const heir = { namespace: 'jobs', name: `heir-${i}` };
        await stage.kubectl.apply(handmade(heir));
        await stage.patchStatus(heir, { phase: 'Running', podIP: ip, podIPs: [{ ip }] });
        assert.deepEqual(await stage.answerFor(ip), { status: 200, name: heir.name });
      }
      await stage.kubectl.run('delete', 'job/sum', '-n', 'jobs');
      await until('the finished pods are gone', async () => (await stage.podsOf('jobs')).length === 8);
      for (const [i, { status }] of finished.entries()) {
        const answer = JSON.stringify(await stage.answerFor(status?.podIP ?? ''));
        assert.ok(answer.includes(`"heir-${i}"`), answer); // alone, or beside a pod to which kwok has given the address
      }
      await stage.kubectl.run('delete', 'namespace', 'jobs');
    });

    test('StatefulSets make pods anew under the same names with new UIDs', async () => {
      const metadata = { namespace: 'sets', name: 'db' };
      await stage.kubectl.apply(namespace('sets'));
      await stage.kubectl.apply(statefulSet(metadata, 6));
      const uids = new Set<string>();
      for (const round of range(3)) {
        if (round > 0) await stage.kubectl.run('delete', 'pods', '--all', '-n', 'sets', '--wait=false');
        const pods = await until('the set has six new pods', async () => {
          const pods = (await stage.podsOf('sets')).filter(
            ({ metadata, status }) => !uids.has(metadata.uid) && status?.phase === 'Running',
          );
          return pods.length === 6 && pods;
        });
        for (const { metadata } of pods) uids.add(metadata.uid);
      }
      for (const { metadata, status } of await stage.podsOf('sets')) {
        assert.deepEqual(await stage.answerFor(status?.podIP ?? ''), { status: 200, name: metadata.name });
      }
    });

    test('bare pods are deleted and made anew under the same names', async () => {
      const names = range(6).map((i) => ({ namespace: 'bare', name: `pet-${i}` }));
      await stage.kubectl.apply(namespace('bare'));
      for (const round of range(4)) {
        await stage.kubectl.apply(...names.map((name) => pod(name)));
        const running = ['--for=jsonpath={.status.phase}=Running', '--timeout=60s', '-n', 'bare'];
        await stage.kubectl.run('wait', ...running, ...names.map(({ name }) => `pod/${name}`));
        const how = round % 2 === 0 ? ['--grace-period=0', '--force'] : ['--grace-period=1'];
        await stage.kubectl.run('delete', 'pods', '--all', '-n', 'bare', ...how);
      }
      assert.deepEqual(await stage.podsOf('bare'), []);
    });

    test('namespaces are deleted with everything in them', async () => {
      for (const round of range(2)) {
        await stage.kubectl.apply(namespace('gone'), deployment({ namespace: 'gone', name: 'web' }, 10));
        if (round === 0) await stage.kubectl.run('rollout', 'status', 'deploy/web', '-n', 'gone'); // else in the middle
        await stage.kubectl.run('delete', 'namespace', 'gone');
      }
    });

    test('pods/status is patched to and fro', async () => {
      await stage.kubectl.apply(namespace('patched'));
      const made = async (name: string, spec?: object): Promise<{ namespace: string; name: string }> => {
        await stage.kubectl.apply(handmade({ namespace: 'patched', name }, spec));
        return { namespace: 'patched', name };
      };
      const running = (...ips: string[]): object => ({
        phase: 'Running',
        podIP: ips[0],
        podIPs: ips.map((ip) => ({ ip })),
      });
      const nobody = { status: 404, reason: 'no-pod' };

      // Dual stack; the second address moves from one pod to another, over a moment in which both claim it.
      const [a, b] = [await made('a'), await made('b')];
      await stage.patchStatus(a, running('10.43.0.1', 'fd00:0:0::1'));
      assert.deepEqual(await stage.answerFor('10.43.0.1'), { status: 200, name: 'a' });
      assert.deepEqual(await stage.answerFor('FD00:0:0:0:0:0:0:1'), { status: 200, name: 'a' });
      await stage.patchStatus(b, running('10.43.0.2', 'fd00::1'));
      assert.deepEqual(await stage.answerFor('fd00::1'), { status: 409, candidates: ['a', 'b'] });
      await stage.patchStatus(a, running('10.43.0.1'));
      assert.deepEqual(await stage.answerFor('fd00::1'), { status: 200, name: 'b' });
      assert.deepEqual(await stage.answerFor('::ffff:10.43.0.1'), { status: 200, name: 'a' });
      await stage.patchStatus(b, { podIP: null, podIPs: null });
      assert.deepEqual(await stage.answerFor('10.43.0.2'), nobody);
      await stage.patchStatus(b, running('10.43.0.2', 'fd00::1'));
      assert.deepEqual(await stage.answerFor('10.43.0.2'), { status: 200, name: 'b' });

      // A finalizer keeps a terminating pod with its address, which another pod gets.
      const old = await made('old');
      await stage.kubectl.run(
        'patch',
        'pod',
        'old',
        '-n',
        'patched',
        '-p',
        '{"metadata":{"finalizers":["example.test/keep"]}}',
      );
      await stage.patchStatus(old, running('10.43.0.3'));
      await stage.kubectl.run('delete', 'pod', 'old', '-n', 'patched', '--wait=false');
      assert.deepEqual(await stage.answerFor('10.43.0.3'), { status: 200, name: 'old' });
      await stage.patchStatus(await made('new'), running('10.43.0.3'));
      assert.deepEqual(await stage.answerFor('10.43.0.3'), { status: 200, name: 'new' });
      await stage.kubectl.run('patch', 'pod', 'old', '-n', 'patched', '-p', '{"metadata":{"finalizers":null}}');
      await stage.patchStatus({ namespace: 'patched', name: 'new' }, { phase: 'Failed' });
      assert.deepEqual(await stage.answerFor('10.43.0.3'), { status: 404, reason: 'terminal' });

      // A node's addresses, v4 and v6, on a host-network pod, and then on an ordinary one too.
      const agent = await made('agent', { hostNetwork: true });
      await stage.patchStatus(agent, { ...running(NODE, '2001:db8::1'), hostIP: NODE, hostIPs: [{ ip: NODE }] });
      for (const ip of [NODE, '2001:db8::1'])
        assert.deepEqual(await stage.answerFor(ip), { status: 404, reason: 'host-network' });
      await stage.patchStatus(await made('liar'), running(NODE, '2001:db8::1'));
      for (const ip of [NODE, '2001:db8::1'])
        assert.deepEqual(await stage.answerFor(ip), { status: 404, reason: 'host-network' });
    });
  });

  test('never a wrong pod: every answer is what the rules say of the version it names', async () => {
    const { judged, unavailable } = await stage.questioner.judge();
    assert.equal(unavailable, 0, 'nothing was broken, so nothing may be unavailable');
    for (const status of [200, 404]) assert.ok((judged.get(status) ?? 0) > 100, `${status}: ${judged.get(status)}`);
  });

  test('at rest every IP answers as the truth says', async () => {
    await stage.assertAtRest();
  });

  test('nothing was lost on the way: the periodic lists had nothing to repair', async () => {
    const metrics = String((await stage.podwhois.get('/metrics')).body['text']);
    assert.match(metrics, /^podwhois_relists_total\{cause="periodic"\} [1-9]/m);
    const repaired = metrics.split('\n').filter((line) => /^podwhois_(drift|unreadable|backwards)_total/.test(line));
    assert.equal(repaired.length, 5);
    for (const line of repaired) assert.match(line, / 0$/);
  });

  test('a reader of the stream, cut off and back again, ends with the same pods', async () => {
    let truth: ReadonlyMap<string, string> = new Map();
    const toldEverything = async (): Promise<boolean> => {
      truth = new Map((await stage.observer.pods()).map(({ uid, version }) => [uid, String(version)]));
      return isDeepStrictEqual(follower.pods, truth);
    };
    await until('the stream has told everything', toldEverything, { timeoutMs: 10_000, everyMs: 500 }).catch(() =>
      assert.deepEqual(follower.pods, truth),
    );
    assert.deepEqual(follower.faults, []);
    assert.ok(follower.resumed >= 4, `resumed ${follower.resumed} times`);
  });
});
