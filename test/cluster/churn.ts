import { setTimeout as sleep } from 'node:timers/promises';
import { deployment, namespace } from './objects.ts';
import type { Kubectl } from '../support/kubectl.ts';
import type { ControlPlane } from '../support/real-servers.ts';

const NAMES = ['churn-0', 'churn-1', 'churn-2'];

/** Load: Deployments whose pods are deleted, one Deployment's after the other's, so that addresses go round all the time. */
export class Churn {
  readonly #plane: ControlPlane;
  #stop = new AbortController();
  #stirring: Promise<void> = Promise.resolve();

  private constructor(plane: ControlPlane) {
    this.#plane = plane;
  }

  static async start(plane: ControlPlane, kubectl: Kubectl): Promise<Churn> {
    const churn = new Churn(plane);
    await kubectl.apply(namespace('churn'), ...NAMES.map((name) => deployment({ namespace: 'churn', name }, 6)));
    churn.resume();
    return churn;
  }

  async pause(): Promise<void> {
    this.#stop.abort();
    await this.#stirring;
  }

  resume(): void {
    this.#stop = new AbortController();
    this.#stirring = this.#stir(this.#stop.signal);
  }

  async #stir(signal: AbortSignal): Promise<void> {
    for (let turn = 0; !signal.aborted; turn++) {
      const path = `/api/v1/namespaces/churn/pods?labelSelector=app%3D${NAMES[turn % NAMES.length]}`;
      const answer = this.#plane.fetch(path, { method: 'DELETE', signal: AbortSignal.timeout(2_000) });
      await answer.then(async (response) => await response.arrayBuffer()).catch(() => undefined); // the API server is away
      await sleep(700, undefined, { signal }).catch(() => undefined);
    }
  }
}
