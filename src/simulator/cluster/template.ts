import { share } from '../encoding/shared.ts';
import type { OwnerReferenceObject, PodSpecObject } from '../pod-object.ts';

export interface TemplateOptions {
  readonly namespace: string;
  readonly app: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly owner: OwnerReferenceObject | undefined;
  readonly revision: number;
  /** RFC 3339; stands in managedFields. */
  readonly time: string;
  readonly sidecar?: boolean;
  readonly init?: boolean;
  readonly hostNetwork?: boolean;
  readonly restartPolicy?: 'Always' | 'OnFailure' | 'Never';
  readonly serviceAccount: string;
}

/** What all pods of one revision of a workload have in common: shared, frozen, encoded once. */
export interface Template {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>> | undefined;
  readonly ownerReferences: readonly OwnerReferenceObject[] | undefined;
  /** The spec without what differs from pod to pod. */
  readonly spec: PodSpecObject;
  readonly initContainers: readonly { readonly name: string; readonly image: string }[];
  /** Before and after the kubelet wrote a status. */
  readonly managedFieldsNew: readonly object[];
  readonly managedFields: readonly object[];
  /** As container statuses repeat them. */
  readonly volumeMounts: readonly object[];
  readonly resources: object;
}

const each = (names: readonly string[]): Record<string, object> => Object.fromEntries(names.map((name) => [name, {}]));

/** managedFields as kube-controller-manager and the kubelet leave them: a third of a pod's JSON, and of no use to us. */
function managedFields(
  options: TemplateOptions,
  containers: readonly { readonly name: string; readonly env: readonly { readonly name: string }[] }[],
): readonly object[] {
  const probe = {
    '.': {},
    ...each(['f:failureThreshold', 'f:periodSeconds', 'f:successThreshold', 'f:timeoutSeconds']),
    'f:httpGet': { '.': {}, ...each(['f:path', 'f:port', 'f:scheme']) },
  };
  const fields = {
    'f:metadata': {
      'f:generateName': {},
      'f:labels': { '.': {}, ...each(Object.keys(options.labels).map((key) => `f:${key}`)) },
      'f:ownerReferences': { '.': {}, [`k:{"uid":"${options.owner?.uid ?? ''}"}`]: {} },
    },
    'f:spec': {
      'f:containers': Object.fromEntries(
        containers.map(({ name, env }) => [
          `k:{"name":"${name}"}`,
          {
            '.': {},
            'f:env': {
              '.': {},
              ...Object.fromEntries(
                env.map((one) => [`k:{"name":"${one.name}"}`, { '.': {}, ...each(['f:name', 'f:value']) }]),
              ),
            },
            ...each(['f:image', 'f:imagePullPolicy', 'f:name']),
            'f:livenessProbe': probe,
            'f:ports': {
              '.': {},
              'k:{"containerPort":8080,"protocol":"TCP"}': {
                '.': {},
                ...each(['f:containerPort', 'f:name', 'f:protocol']),
              },
            },
            'f:readinessProbe': probe,
            'f:resources': {
              '.': {},
              'f:limits': { '.': {}, 'f:memory': {} },
              'f:requests': { '.': {}, ...each(['f:cpu', 'f:memory']) },
            },
            ...each(['f:terminationMessagePath', 'f:terminationMessagePolicy']),
          },
        ]),
      ),
      ...each([
        'f:dnsPolicy',
        'f:enableServiceLinks',
        'f:restartPolicy',
        'f:schedulerName',
        'f:securityContext',
        'f:serviceAccount',
        'f:serviceAccountName',
        'f:terminationGracePeriodSeconds',
      ]),
    },
  };
  return [
    {
      manager: 'kube-controller-manager',
      operation: 'Update',
      apiVersion: 'v1',
      time: options.time,
      fieldsType: 'FieldsV1',
      fieldsV1: fields,
    },
  ];
}

function kubeletFields(time: string): object {
  const condition = (type: string): [string, object] => [
    `k:{"type":"${type}"}`,
    { '.': {}, ...each(['f:lastProbeTime', 'f:lastTransitionTime', 'f:observedGeneration', 'f:status', 'f:type']) },
  ];
  const fields = {
    'f:status': {
      'f:conditions': Object.fromEntries(
        ['ContainersReady', 'Initialized', 'PodReadyToStartContainers', 'Ready'].map(condition),
      ),
      ...each([
        'f:containerStatuses',
        'f:hostIP',
        'f:hostIPs',
        'f:observedGeneration',
        'f:phase',
        'f:podIP',
        'f:podIPs',
        'f:startTime',
      ]),
    },
  };
  return {
    manager: 'kubelet',
    operation: 'Update',
    apiVersion: 'v1',
    time,
    fieldsType: 'FieldsV1',
    fieldsV1: fields,
    subresource: 'status',
  };
}

const TOLERATIONS = share(
  ['not-ready', 'unreachable'].map((key) => ({
    key: `node.kubernetes.io/${key}`,
    operator: 'Exists',
    effect: 'NoExecute',
    tolerationSeconds: 300,
  })),
);

function container(name: string, options: TemplateOptions, mounts: readonly object[], resources: object) {
  const probe = {
    httpGet: { path: '/healthz', port: 'http', scheme: 'HTTP' },
    timeoutSeconds: 1,
    periodSeconds: 10,
    successThreshold: 1,
    failureThreshold: 3,
  };
  const upper = options.app.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_');
  return {
    name,
    image: `registry.example.com/${options.namespace}/${name}:1.${options.revision}.0`,
    args: [`--config=/etc/${options.app}/config.yaml`, '--listen=:8080', '--log-format=json'],
    ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
    env: [
      { name: 'POD_NAME', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } },
      { name: 'POD_IP', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.podIP' } } },
      { name: `${upper}_DATABASE_URL`, valueFrom: { secretKeyRef: { name: `${options.app}-database`, key: 'url' } } },
      {
        name: `${upper}_CACHE_ADDRESS`,
        value: `redis://${options.app}-cache.${options.namespace}.svc.cluster.local:6379/0`,
      },
      { name: 'OTEL_EXPORTER_OTLP_ENDPOINT', value: 'http://collector.monitoring.svc.cluster.local:4317' },
      { name: 'OTEL_RESOURCE_ATTRIBUTES', value: `service.name=${options.app},service.namespace=${options.namespace}` },
      { name: 'LOG_LEVEL', value: 'info' },
      { name: 'REVISION', value: String(options.revision) },
    ],
    resources,
    volumeMounts: mounts,
    livenessProbe: probe,
    readinessProbe: { ...probe, periodSeconds: 5 },
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: 'IfNotPresent',
    securityContext: {
      capabilities: { drop: ['ALL'] },
      runAsNonRoot: true,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
    },
  };
}

function volumes(options: TemplateOptions): readonly object[] {
  const serviceAccountToken = { expirationSeconds: 3607, path: 'token' };
  const downwardAPI = {
    items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
  };
  const configMap = { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] };
  return [
    { name: 'config', configMap: { name: `${options.app}-config`, defaultMode: 420 } },
    { name: 'scratch', emptyDir: { sizeLimit: '256Mi' } },
    {
      name: 'kube-api-access-x7k2p',
      projected: { sources: [{ serviceAccountToken }, { configMap }, { downwardAPI }], defaultMode: 420 },
    },
  ];
}

export function template(options: TemplateOptions): Template {
  const mounts = [
    { name: 'config', readOnly: true, mountPath: `/etc/${options.app}` },
    { name: 'scratch', mountPath: '/tmp' },
    { name: 'kube-api-access-x7k2p', readOnly: true, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' },
  ];
  const resources = { limits: { memory: '256Mi' }, requests: { cpu: '50m', memory: '128Mi' } };
  const names = options.sidecar ? [options.app, 'proxy'] : [options.app];
  const containers = names.map((name) => container(name, options, mounts, resources));
  const initContainers = options.init
    ? [{ ...container('migrate', options, mounts, resources), livenessProbe: undefined, readinessProbe: undefined }]
    : [];
  const created = managedFields(options, containers);
  return {
    namespace: options.namespace,
    labels: share({ ...options.labels }),
    annotations: options.annotations && share({ ...options.annotations }),
    ownerReferences: options.owner && share([options.owner]),
    spec: {
      volumes: share(volumes(options)),
      ...(options.init ? { initContainers: share(initContainers) } : {}),
      containers: share(containers),
      restartPolicy: options.restartPolicy ?? 'Always',
      terminationGracePeriodSeconds: 30,
      dnsPolicy: options.hostNetwork ? 'ClusterFirstWithHostNet' : 'ClusterFirst',
      serviceAccountName: options.serviceAccount,
      serviceAccount: options.serviceAccount,
      ...(options.hostNetwork ? { hostNetwork: true } : {}),
      securityContext: share({ runAsUser: 10_001, fsGroup: 10_001, seccompProfile: { type: 'RuntimeDefault' } }),
      schedulerName: 'default-scheduler',
      tolerations: TOLERATIONS,
      priority: 0,
      enableServiceLinks: true,
      preemptionPolicy: 'PreemptLowerPriority',
    },
    initContainers,
    managedFieldsNew: share([...created]),
    managedFields: share([...created, kubeletFields(options.time)]),
    volumeMounts: share(
      mounts.map((mount) => ({ ...mount, ...('readOnly' in mount ? { recursiveReadOnly: 'Disabled' } : {}) })),
    ),
    resources: share(resources),
  };
}

/** The same template under another owner: a Job of a CronJob, a ReplicaSet of a Deployment. */
export function adopted(
  base: Template,
  labels: Readonly<Record<string, string>>,
  owner: OwnerReferenceObject | undefined,
): Template {
  return { ...base, labels: share({ ...labels }), ownerReferences: owner && share([owner]) };
}
