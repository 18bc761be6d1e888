import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { canonicalIp } from '../../src/index/ip-address.ts';
import { podReader } from '../../src/kubernetes/pod-from-api.ts';
import { json } from '../../src/kubernetes/wire/json.ts';
import { protobuf } from '../../src/kubernetes/wire/protobuf.ts';
import { API_ONLY, realServer, startControlPlane } from '../support/real-servers.ts';
import { EVERY_KIND_OF_POD } from './every-kind-of-pod.ts';
import type { Pod } from '../../src/pod.ts';
import type { ApiStatus, WatchEvent, WireFormat } from '../../src/kubernetes/wire/format.ts';
import type { ControlPlane } from '../support/real-servers.ts';

const NAMESPACE = 'kinds';
const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`;
const ACCEPT = { json: 'application/json', protobuf: 'application/vnd.kubernetes.protobuf' };
const KEPT = 'example.test/kept';

describe('protobuf and JSON on a real API server', { ...realServer(...API_ONLY), timeout: 60_000 }, () => {
  let plane: ControlPlane;
  before(async () => {
    plane = await startControlPlane({ apiOnly: true });
    await write('POST', '/api/v1/namespaces', { metadata: { name: NAMESPACE } });
    for (const { pod, status, ephemeral } of EVERY_KIND_OF_POD) {
      const path = `${PODS}/${pod.metadata.name}`;
      await write('POST', PODS, pod);
      if (status) await write('PATCH', `${path}/status`, { status });
      if (ephemeral) await write('PATCH', `${path}/ephemeralcontainers`, ephemeral);
    }
    await write('DELETE', `${PODS}/everything-in-the-spec`); // which its finalizer keeps: terminating
  });
  after(async () => await plane?.down());

  async function write(method: string, path: string, body: object = {}): Promise<void> {
    const type = method === 'PATCH' ? 'application/strategic-merge-patch+json' : 'application/json';
    const response = await plane.fetch(path, { method, headers: { 'content-type': type }, body: JSON.stringify(body) });
    assert.ok(response.ok, `${method} ${path}: ${await response.text()}`);
  }

  async function bytes(format: WireFormat, query: string): Promise<Buffer> {
    const response = await plane.fetch(PODS + query, { headers: { accept: ACCEPT[format.name] } });
    return Buffer.from(await response.arrayBuffer());
  }

  async function listed(format: WireFormat): Promise<readonly Pod[]> {
    const page = format.list(await bytes(format, ''), reader());
    assert.deepEqual(page.unreadable, []);
    return page.items;
  }

  test('a list gives the identical record for every kind of pod', async () => {
    const [one, other] = [await listed(protobuf), await listed(json)];
    assert.equal(one.length, EVERY_KIND_OF_POD.length);
    assert.deepEqual(one.map(plain), other.map(plain));
  });

  test('every record says what kubectl would show', async () => {
    const { items } = JSON.parse((await bytes(json, '')).toString()) as { readonly items: readonly ApiPod[] };
    assert.deepEqual((await listed(protobuf)).map(plain), items.map(expected));
  });

  test('a page is read alike, and so is an error', async () => {
    const page = async (format: WireFormat): Promise<object> => {
      const { resourceVersion, items, continue: token } = format.list(await bytes(format, '?limit=2'), reader());
      return { resourceVersion, items: items.map(plain), more: token !== '' };
    };
    assert.deepEqual(await page(protobuf), await page(json));
    const status = async (format: WireFormat): Promise<ApiStatus | undefined> =>
      format.status(await bytes(format, '/not-there'));
    assert.equal((await status(protobuf))?.code, 404);
    assert.deepEqual(await status(protobuf), await status(json));
  });

  test('watches are read alike: initial events, bookmarks, changes, deletions, 410', async () => {
    const bookmarks = '?watch=true&timeoutSeconds=1&allowWatchBookmarks=true';
    const same = async (query: string, types: RegExp): Promise<void> => {
      const [one, other] = await Promise.all([watched(protobuf, query), watched(json, query)]);
      assert.match(one.map(({ type }) => type).join(' '), types);
      const told = (all: readonly WatchEvent<Pod>[]): object[] =>
        all.filter(({ type }) => type !== 'BOOKMARK').map(plainEvent);
      assert.deepEqual(told(one), told(other));
    };
    await same(`${bookmarks}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan`, /^(ADDED )+BOOKMARK/);
    const { resourceVersion } = protobuf.list(await bytes(protobuf, '?limit=1'), reader());
    await write('PATCH', `${PODS}/bare/status`, { status: { phase: 'Running', podIP: '10.1.0.9' } });
    await write('DELETE', `${PODS}/bare?gracePeriodSeconds=0`);
    await same(`${bookmarks}&resourceVersion=${resourceVersion}`, /^(MODIFIED )+DELETED( BOOKMARK)*$/);
    await same('?watch=true&timeoutSeconds=1&resourceVersion=1', /^(ADDED|MODIFIED| )+ DELETED$/); // all that happened
    await plane.apiServer.stop();
    await plane.startApiServer(); // which forgets what happened
    await same('?watch=true&timeoutSeconds=1&resourceVersion=1', /^ERROR$/);
  });

  async function watched(format: WireFormat, query: string): Promise<readonly WatchEvent<Pod>[]> {
    const decoder = format.watch(reader());
    const events = decoder.push(await bytes(format, query));
    assert.equal(decoder.partial, false);
    return events;
  }
});

const reader = (): ReturnType<typeof podReader> => podReader({ annotations: [KEPT], canonicalIp });

/** All fields of a record, computed ones too, in plain objects. */
function plain(pod: Pod): object {
  const { uid, namespace, name, resourceVersion, podIps, hostIps, hostNetwork, nodeName, phase, ready } = pod;
  const { deletionTimestamp, serviceAccount, owner, qosClass, createdAt, startedAt, containers } = pod;
  return {
    uid,
    namespace,
    name,
    resourceVersion,
    podIps,
    hostIps,
    hostNetwork,
    nodeName,
    phase,
    ready,
    deletionTimestamp,
    serviceAccount,
    owner,
    qosClass,
    createdAt,
    startedAt,
    labels: { ...pod.labels },
    annotations: { ...pod.annotations },
    containers: containers.map((one) => ({ ...one })),
    workload: pod.workload?.name,
  };
}

function plainEvent(event: WatchEvent<Pod>): object {
  return event.type === 'ADDED' || event.type === 'MODIFIED' || event.type === 'DELETED'
    ? { type: event.type, object: plain(event.object) }
    : event;
}

interface ApiContainer {
  readonly name: string;
  readonly image: string;
}

interface ApiPod {
  readonly metadata: {
    readonly [key in 'uid' | 'namespace' | 'name' | 'resourceVersion' | 'creationTimestamp']: string;
  } & {
    readonly deletionTimestamp?: string;
    readonly labels?: object;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly {
      apiVersion: string;
      kind: string;
      name: string;
      uid: string;
      controller?: boolean;
    }[];
  };
  readonly spec: {
    readonly hostNetwork?: boolean;
    readonly nodeName?: string;
    readonly serviceAccountName?: string;
    readonly containers: readonly ApiContainer[];
    readonly initContainers?: readonly ApiContainer[];
    readonly ephemeralContainers?: readonly ApiContainer[];
  };
  readonly status: {
    readonly phase: string;
    readonly startTime?: string;
    readonly qosClass: string;
    readonly podIPs?: readonly { readonly ip: string }[];
    readonly hostIPs?: readonly { readonly ip: string }[];
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly [statuses: `${string}tatuses`]: readonly {
      name: string;
      containerID?: string;
      ready: boolean;
      restartCount: number;
    }[];
  };
}

/** The record that the API's own JSON asks for, read without our decoders. */
function expected({ metadata, spec, status }: ApiPod): object {
  const time = (text: string | undefined): number | undefined => (text === undefined ? undefined : Date.parse(text));
  const owner = metadata.ownerReferences?.find(({ controller }) => controller);
  const kinds = [
    { kind: 'container', specs: spec.containers, statuses: status['containerStatuses'] },
    { kind: 'init', specs: spec.initContainers ?? [], statuses: status['initContainerStatuses'] },
    { kind: 'ephemeral', specs: spec.ephemeralContainers ?? [], statuses: status['ephemeralContainerStatuses'] },
  ];
  const containers = kinds.flatMap(({ kind, specs, statuses }) =>
    specs.map(({ name, image }) => {
      const status = statuses?.find((one) => one.name === name);
      const { containerID: id = '', ready = false, restartCount: restarts = 0 } = status ?? {};
      return { kind, name, image, id, ready, restarts };
    }),
  );
  const { uid, namespace, name, resourceVersion, labels = {}, annotations = {} } = metadata;
  return {
    uid,
    namespace,
    name,
    resourceVersion,
    labels,
    containers,
    annotations: KEPT in annotations ? { [KEPT]: annotations[KEPT] } : {},
    podIps: (status.podIPs ?? []).map(({ ip }) => ip),
    hostIps: (status.hostIPs ?? []).map(({ ip }) => ip),
    hostNetwork: spec.hostNetwork ?? false,
    nodeName: spec.nodeName ?? '',
    phase: status.phase,
    ready: status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false,
    deletionTimestamp: time(metadata.deletionTimestamp),
    serviceAccount: spec.serviceAccountName ?? '',
    owner: owner && {
      apiGroup: owner.apiVersion.split('/')[0],
      kind: owner.kind,
      name: owner.name,
      uid: owner.uid,
    },
    qosClass: status.qosClass,
    createdAt: time(metadata.creationTimestamp),
    startedAt: time(status.startTime),
    // The Job's suffix lies far from this pod's creation, so the Job is its user's own.
    workload: owner?.name === 'web-84cd44fcbb' ? 'web' : owner?.name,
  };
}
