import assert from 'node:assert/strict';
import { Kubectl } from '../support/kubectl.ts';
import { PodwhoisProcess } from '../support/podwhois-process.ts';
import { startControlPlane } from '../support/real-servers.ts';
import { until } from '../support/until.ts';
import { Observer } from './observer.ts';
import { Questioner } from './questioner.ts';
import { verdict } from './truth.ts';
import type { ControlPlane, ControlPlaneOptions } from '../support/real-servers.ts';
import type { Named } from './objects.ts';
import type { ApiPod, Verdict } from './truth.ts';

/** A control plane, podwhois on it, the observer and the questioner: what every scenario plays on. */
export class Stage {
  readonly plane: ControlPlane;
  readonly kubectl: Kubectl;
  readonly observer: Observer;
  readonly podwhois: PodwhoisProcess;
  readonly questioner: Questioner;

  private constructor(plane: ControlPlane, observer: Observer, podwhois: PodwhoisProcess) {
    this.plane = plane;
    this.kubectl = new Kubectl(plane.kubeconfig);
    this.observer = observer;
    this.podwhois = podwhois;
    this.questioner = new Questioner(podwhois, observer);
  }

  static async up(options: ControlPlaneOptions, settings: Readonly<Record<string, string>>): Promise<Stage> {
    const plane = await startControlPlane(options);
    let observer: Observer | undefined;
    try {
      observer = await Observer.start(new Kubectl(plane.kubeconfig));
      const podwhois = await PodwhoisProcess.start({ KUBECONFIG: plane.kubeconfig, ...settings });
      await podwhois.untilReady();
      return new Stage(plane, observer, podwhois);
    } catch (error) {
      await observer?.stop();
      await plane.down();
      throw error;
    }
  }

  async down(): Promise<void> {
    await this.questioner.stop();
    await this.observer.stop();
    await this.podwhois.stop();
    await this.plane.down();
  }

  /** pods/status as a kubelet, or anybody with the permission, writes it. */
  async patchStatus({ namespace, name }: Named, status: object): Promise<void> {
    const response = await this.plane.fetch(`/api/v1/namespaces/${namespace}/pods/${name}/status`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/merge-patch+json' },
      body: JSON.stringify({ status }),
    });
    assert.equal(response.status, 200, await response.text());
  }

  async podsOf(namespace: string): Promise<readonly ApiPod[]> {
    return ((await this.kubectl.raw(`/api/v1/namespaces/${namespace}/pods`)) as { readonly items: readonly ApiPod[] })
      .items;
  }

  /** What podwhois says of an address once it has reached the cluster's present version, cut down to what a scenario expects. */
  async answerFor(ip: string): Promise<object> {
    await this.observer.catchUp();
    const { known } = this.observer.timeline;
    const answer = await until('podwhois has reached the version', async () => {
      const answer = await this.podwhois.whoHas(ip);
      return answer.version >= known && answer;
    });
    const { status, body } = answer;
    if (status === 200) return { status, name: body['name'] };
    if (status === 404) return { status, reason: body['reason'] };
    if (status !== 409) return { status };
    return { status, candidates: (body['candidates'] as readonly Named[]).map(({ name }) => name).toSorted() };
  }

  /** At rest: every address that any pod ever had answers as the rules say of what kubectl lists now. */
  async assertAtRest(timeoutMs = 15_000): Promise<void> {
    const compare = async (): Promise<object[]> => {
      const pods = await this.observer.pods();
      const wrong: object[] = [];
      for (const ip of [...this.observer.timeline.addresses(), '10.42.255.254', 'fd00::dead']) {
        const truth = verdict(pods, ip);
        const { status, body } = await this.podwhois.whoHas(ip);
        if (!agrees(truth, status, body)) wrong.push({ ip, truth, status, body });
      }
      return wrong;
    };
    let wrong: object[] = [];
    await until('every address answers as the truth says', async () => (wrong = await compare()).length === 0, {
      timeoutMs,
      everyMs: 500,
    }).catch((error: unknown) => {
      assert.deepEqual(wrong.slice(0, 3), [], `at rest ${wrong.length} addresses are wrong`);
      throw error;
    });
  }
}

function agrees(truth: Verdict, status: number, body: Readonly<Record<string, unknown>>): boolean {
  if (truth.status !== status) return false;
  if (truth.status === 200) return body['uid'] === truth.uid && body['resource_version'] === String(truth.version);
  if (truth.status === 404) return body['reason'] === truth.reason;
  return (body['candidates'] as readonly unknown[]).length === truth.uids.length;
}
