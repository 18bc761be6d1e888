import type { OwnerReferenceObject } from '../pod-object.ts';
import type { Random } from './random.ts';
import { adopted, template } from './template.ts';
import type { Template, TemplateOptions } from './template.ts';

export type WorkloadKind = 'Deployment' | 'StatefulSet' | 'DaemonSet' | 'CronJob' | 'Job' | 'Pod';

/** A made-up controller and its pods. */
export interface Workload {
  readonly kind: WorkloadKind;
  readonly namespace: string;
  readonly name: string;
  readonly app: string;
  readonly uid: string;
  readonly hostNetwork: boolean;
  revision: number;
  /** Of the current revision, ReplicaSet or Job. */
  template: Template;
  /** What new pods' names begin with. */
  prefix: string;
  replicas: number;
  /** Names of the pods that count as replicas: not those on their way out. */
  readonly pods: string[];
}

const owner = (apiVersion: string, kind: string, name: string, uid: string): OwnerReferenceObject => ({
  apiVersion,
  kind,
  name,
  uid,
  controller: true,
  blockOwnerDeletion: true,
});

/** Makes workloads and their templates; what templates have in common is made once per namespace, app and revision. */
export class Workshop {
  readonly #random: Random;
  readonly #bases = new Map<string, Template>();

  constructor(random: Random) {
    this.#random = random;
  }

  make(
    kind: WorkloadKind,
    namespace: string,
    app: string,
    name: string,
    options: { readonly replicas: number; readonly time: string; readonly hostNetwork?: boolean },
  ): Workload {
    const hostNetwork = options.hostNetwork ?? false;
    const workload: Workload = {
      kind,
      namespace,
      name,
      app,
      uid: this.#random.uid(),
      hostNetwork,
      revision: 0,
      template: this.#base(namespace, app, 0, options.time, { hostNetwork }),
      prefix: `${name}-`,
      replicas: options.replicas,
      pods: [],
    };
    this.revise(workload, options.time);
    return workload;
  }

  /** The next revision: a new ReplicaSet of a Deployment, the next Job of a CronJob, another image elsewhere. */
  revise(workload: Workload, time: string): void {
    const { kind, namespace, name, app, uid, hostNetwork } = workload;
    workload.revision++;
    const isJob = kind === 'Job' || kind === 'CronJob';
    const revision = isJob ? 1 : workload.revision;
    const base = this.#base(namespace, app, revision, time, {
      hostNetwork,
      ...(isJob ? { restartPolicy: 'Never' } : {}),
    });
    const labels = {
      'app.kubernetes.io/name': app,
      'app.kubernetes.io/instance': name,
      'app.kubernetes.io/managed-by': 'Helm',
      app: name,
    };
    switch (kind) {
      case 'Deployment': {
        const hash = this.#random.suffix(10);
        workload.prefix = `${name}-${hash}-`;
        workload.template = adopted(
          base,
          { ...labels, 'pod-template-hash': hash },
          owner('apps/v1', 'ReplicaSet', `${name}-${hash}`, this.#random.uid()),
        );
        break;
      }
      case 'StatefulSet':
      case 'DaemonSet':
        workload.template = adopted(
          base,
          { ...labels, 'controller-revision-hash': `${name}-${this.#random.suffix(9)}` },
          owner('apps/v1', kind, name, uid),
        );
        break;
      case 'CronJob':
      case 'Job': {
        // A CronJob's Jobs are called after the minute they were due in (since 1970), always in the past of the pod; here each run was
        // due a minute before the last one's minute, so that runs within one minute have names of their own.
        const due = Math.floor(Date.parse(time) / 60_000) - (workload.revision % 1440);
        const job = kind === 'CronJob' ? `${name}-${due}` : name;
        const jobUid = kind === 'CronJob' ? this.#random.uid() : uid;
        workload.prefix = `${job}-`;
        const jobLabels = {
          'batch.kubernetes.io/controller-uid': jobUid,
          'batch.kubernetes.io/job-name': job,
          'job-name': job,
        };
        workload.template = adopted(base, { ...labels, ...jobLabels }, owner('batch/v1', 'Job', job, jobUid));
        break;
      }
      case 'Pod':
        workload.template = adopted(base, labels, undefined);
        break;
    }
  }

  #base(
    namespace: string,
    app: string,
    revision: number,
    time: string,
    extra: Pick<TemplateOptions, 'hostNetwork' | 'restartPolicy'>,
  ): Template {
    const key = `${namespace}/${app}/${revision}/${extra.hostNetwork}/${extra.restartPolicy}`;
    let base = this.#bases.get(key);
    if (!base) {
      // Rollouts make ever new revisions; old ones are not asked for again.
      if (this.#bases.size > 20_000) this.#bases.clear();
      const letters = app.length + namespace.length;
      base = template({
        namespace,
        app,
        labels: { 'app.kubernetes.io/name': app, app },
        annotations: {
          'prometheus.io/scrape': 'true',
          'prometheus.io/port': '8080',
          'checksum/config': `${revision}`.padStart(64, 'a3f1'),
        },
        owner: owner('apps/v1', 'ReplicaSet', app, '7d9f4c1e-0000-4000-a000-000000000000'),
        revision,
        time,
        serviceAccount: app,
        sidecar: letters % 3 === 0 && !extra.hostNetwork, // two containers cannot have one port of the host
        init: letters % 4 === 0,
        ...extra,
      });
      this.#bases.set(key, base);
    }
    return base;
  }
}
