/** Pods in every shape that an API server takes, for the question whether both wire formats are read alike. */

export interface Specimen {
  readonly pod: { readonly metadata: { readonly name: string }; readonly [part: string]: unknown };
  /** Written afterwards, to pods/status. */
  readonly status?: object;
  /** Added afterwards, by pods/ephemeralcontainers. */
  readonly ephemeral?: object;
}

interface Given {
  readonly metadata?: object;
  readonly spec?: object;
  readonly status?: object;
  readonly ephemeral?: object;
}

const container = (name: string, more: object = {}): object => ({ name, image: `example.test/${name}:1`, ...more });

function specimen(name: string, { metadata, spec, status, ephemeral }: Given = {}): Specimen {
  return {
    pod: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, ...metadata },
      spec: { schedulerName: 'nobody', containers: [container('main')], ...spec },
    },
    ...(status && { status }),
    ...(ephemeral && { ephemeral }),
  };
}

const SECOND = '2026-11-20T07:08:09Z';

const ran = (name: string, state: object, more: object = {}): object => ({
  name,
  image: `example.test/${name}:1`,
  imageID: `example.test/${name}@sha256:00`,
  state,
  ready: 'running' in state,
  restartCount: 0,
  containerID: `containerd://${name.padEnd(64, '0')}`,
  ...more,
});
const running = { running: { startedAt: SECOND } };
const condition = (type: string, status: string): object => ({
  type,
  status,
  lastTransitionTime: SECOND,
  lastProbeTime: null,
});
const ips = (...texts: string[]): object => ({ podIP: texts[0], podIPs: texts.map((ip) => ({ ip })) });
const hostIps = (...texts: string[]): object => ({ hostIP: texts[0], hostIPs: texts.map((ip) => ({ ip })) });

const owner = (kind: string, name: string, controller: boolean): object => ({
  apiVersion: kind === 'Job' ? 'batch/v1' : 'apps/v1',
  kind,
  name,
  controller,
  uid: `00000000-0000-4000-8000-${String(kind.length * 1000 + name.length).padStart(12, '0')}`,
});

export const EVERY_KIND_OF_POD: readonly Specimen[] = [
  specimen('bare'),
  specimen('unicode', {
    metadata: { annotations: { 'example.test/kept': 'Zoë 🦊 \u2028 "quoted" \\ \t line\nbreak', other: 'dropped' } },
  }),
  specimen('constructor', {
    metadata: {
      labels: { constructor: 'x', toString: 'y', 'example.test/empty': '', '1': 'number', hasOwnProperty: 'z' },
    },
  }),
  specimen('big', {
    metadata: { annotations: { other: 'x'.repeat(200_000), 'example.test/kept': 'k'.repeat(20_000) } },
  }),
  specimen('running', {
    metadata: {
      labels: { app: 'web', 'pod-template-hash': '84cd44fcbb' },
      ownerReferences: [owner('ConfigMap', 'not-this-one', false), owner('ReplicaSet', 'web-84cd44fcbb', true)],
    },
    status: {
      phase: 'Running',
      startTime: SECOND,
      ...ips('10.1.0.1'),
      ...hostIps('192.0.2.7'),
      conditions: [
        condition('PodScheduled', 'True'),
        condition('Ready', 'True'),
        condition('example.test/gate', 'False'),
      ],
      containerStatuses: [ran('main', running)],
    },
  }),
  specimen('dual-stack', {
    status: { phase: 'Running', ...ips('10.1.0.2', 'fd00::2'), ...hostIps('192.0.2.7', '2001:db8::7') },
  }),
  specimen('six-first', { status: { phase: 'Running', ...ips('fd00::3', '10.1.0.3'), ...hostIps('2001:db8::7') } }),
  specimen('host-network', {
    spec: { hostNetwork: true, hostPID: true },
    status: { phase: 'Running', ...ips('192.0.2.7', '2001:db8::7'), ...hostIps('192.0.2.7', '2001:db8::7') },
  }),
  specimen('job', {
    metadata: { ownerReferences: [owner('Job', 'backup-29731680', true)], labels: { 'job-name': 'backup-29731680' } },
    spec: { restartPolicy: 'Never' },
    status: {
      phase: 'Succeeded',
      startTime: SECOND,
      ...ips('10.1.0.4'),
      conditions: [condition('Ready', 'False')],
      containerStatuses: [
        ran('main', { terminated: { exitCode: 0, reason: 'Completed', startedAt: SECOND, finishedAt: SECOND } }),
      ],
    },
  }),
  specimen('failed', {
    status: {
      phase: 'Failed',
      reason: 'Evicted',
      message: 'The node was low on resource: memory.',
      ...ips('10.1.0.5'),
    },
  }),
  specimen('unknown-phase', { status: { phase: 'Unknown', ...ips('10.1.0.6') } }),
  specimen('crashing', {
    status: {
      phase: 'Running',
      containerStatuses: [
        ran(
          'main',
          { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 5m0s' } },
          {
            restartCount: 2147483647,
            lastState: {
              terminated: { exitCode: 137, signal: 9, reason: 'OOMKilled', startedAt: SECOND, finishedAt: SECOND },
            },
          },
        ),
      ],
    },
  }),
  specimen('creating', {
    status: {
      phase: 'Pending',
      containerStatuses: [
        {
          name: 'main',
          image: 'x',
          imageID: '',
          ready: false,
          restartCount: 0,
          started: false,
          state: { waiting: {} },
        },
      ],
    },
  }),
  specimen('many-containers', {
    spec: {
      containers: [
        container('web'),
        container('proxy', { ports: [{ containerPort: 80 }, { name: 'dns', containerPort: 53, protocol: 'UDP' }] }),
      ],
      initContainers: [container('setup'), container('sidecar', { restartPolicy: 'Always' })],
      shareProcessNamespace: true,
    },
    status: {
      phase: 'Running',
      containerStatuses: [ran('proxy', running), ran('web', running, { restartCount: 3 })], // in another order
      initContainerStatuses: [
        ran('setup', { terminated: { exitCode: 0, containerID: 'containerd://setup' } }),
        ran('sidecar', running, { started: true }),
      ],
    },
    ephemeral: {
      spec: { ephemeralContainers: [{ name: 'debug', image: 'busybox:1', targetContainerName: 'web', tty: true }] },
    },
  }),
  specimen('everything-in-the-spec', {
    metadata: { finalizers: ['example.test/keep'] },
    spec: {
      serviceAccountName: 'robot',
      automountServiceAccountToken: false,
      hostname: 'h',
      subdomain: 's',
      priority: 0,
      nodeSelector: { disk: 'ssd' },
      tolerations: [{ key: 'k', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 30 }],
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: 'zone',
          whenUnsatisfiable: 'ScheduleAnyway',
          labelSelector: { matchLabels: { a: 'b' } },
        },
      ],
      affinity: {
        podAntiAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'kubernetes.io/hostname' }],
        },
      },
      securityContext: { runAsUser: 1000, fsGroup: 2000, sysctls: [{ name: 'net.ipv4.tcp_syncookies', value: '1' }] },
      hostAliases: [{ ip: '10.9.9.9', hostnames: ['podip', 'uid'] }],
      dnsPolicy: 'None',
      dnsConfig: { nameservers: ['10.0.0.10'], options: [{ name: 'ndots', value: '2' }] },
      volumes: [
        { name: 'empty', emptyDir: {} },
        { name: 'config', configMap: { name: 'c', optional: true } },
      ],
      containers: [
        container('main', {
          command: ['sh', '-c', '{"podIP":"10.66.66.66","managedFields":[{}]}'],
          env: [
            { name: 'A', value: '"status":{"podIP":"10.66.66.67"}' },
            { name: 'B', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
          ],
          resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { cpu: '1', memory: '128Mi' } },
          livenessProbe: { httpGet: { path: '/', port: 80 }, periodSeconds: 5 },
          volumeMounts: [{ name: 'empty', mountPath: '/tmp' }],
        }),
      ],
    },
    status: { phase: 'Running', ...ips('10.1.0.7'), nominatedNodeName: 'node-9' },
  }),
  specimen('guaranteed', {
    spec: { containers: [container('main', { resources: { limits: { cpu: '1', memory: '1Gi' } } })] },
  }),
  specimen('gated', { spec: { schedulingGates: [{ name: 'example.test/wait' }] } }),
];
