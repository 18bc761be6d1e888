import { intern, newLabels, newRecord } from './record.ts';
import type { BareRecord } from './record.ts';

interface ApiPod {
  metadata: {
    uid: string;
    name: string;
    namespace: string;
    resourceVersion: string;
    creationTimestamp: string;
    deletionTimestamp?: string;
    labels?: Record<string, string>;
    ownerReferences?: { kind: string; name: string; uid: string }[];
  };
  spec: { nodeName?: string; serviceAccountName?: string; hostNetwork?: boolean };
  status: {
    phase: string;
    hostIP?: string;
    podIPs?: { ip: string }[];
    qosClass?: string;
    startTime?: string;
    conditions?: { type: string; status: string }[];
    containerStatuses?: { name: string; image: string; containerID?: string; ready: boolean; restartCount: number }[];
  };
}

function fromApi(api: ApiPod): BareRecord {
  const { metadata, spec, status } = api;
  const pod = newRecord();
  pod.uid = metadata.uid;
  pod.name = metadata.name;
  pod.namespace = intern(metadata.namespace);
  pod.resourceVersion = metadata.resourceVersion;
  pod.createdAt = Date.parse(metadata.creationTimestamp);
  pod.deletedAt = metadata.deletionTimestamp ? Date.parse(metadata.deletionTimestamp) : 0;
  const labels = newLabels();
  for (const key in metadata.labels) labels[intern(key)] = intern(metadata.labels[key] ?? '');
  pod.labels = labels;
  const owner = metadata.ownerReferences?.[0];
  if (owner) {
    pod.ownerKind = intern(owner.kind);
    pod.ownerName = intern(owner.name);
    pod.ownerUid = intern(owner.uid);
  }
  pod.node = intern(spec.nodeName ?? '');
  pod.serviceAccount = intern(spec.serviceAccountName ?? '');
  pod.hostNetwork = spec.hostNetwork === true;
  pod.phase = intern(status.phase);
  pod.hostIp = intern(status.hostIP ?? '');
  pod.ips = (status.podIPs ?? []).map((entry) => entry.ip);
  pod.qos = intern(status.qosClass ?? '');
  pod.ready = status.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') ?? false;
  pod.startedAt = status.startTime ? Date.parse(status.startTime) : 0;
  pod.containers = (status.containerStatuses ?? []).map((one) => ({
    name: intern(one.name),
    image: intern(one.image),
    id: one.containerID ?? '',
    ready: one.ready,
    restarts: one.restartCount,
  }));
  return pod;
}

const MANAGED_FIELDS = Buffer.from('"managedFields":[');
const END_OF_MANAGED_FIELDS = Buffer.from('}]},"spec":');

/** Splits a JSON watch stream on newlines, cuts managedFields from the bytes (they end the metadata), parses the rest. */
export class JsonSplitter {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer, onPod: (pod: BareRecord) => void, onBookmark: () => void): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, at)) {
      this.#line(bytes.subarray(at, end), onPod, onBookmark);
      at = end + 1;
    }
    this.#rest = bytes.subarray(at);
  }

  #line(line: Buffer, onPod: (pod: BareRecord) => void, onBookmark: () => void): void {
    const from = line.indexOf(MANAGED_FIELDS);
    const to = from === -1 ? -1 : line.indexOf(END_OF_MANAGED_FIELDS, from);
    const text =
      to === -1 ? line.toString('utf8') : `${line.toString('utf8', 0, from)}"x":0${line.toString('utf8', to + 2)}`;
    const event = JSON.parse(text) as { type: string; object: ApiPod };
    if (event.type === 'BOOKMARK') onBookmark();
    else onPod(fromApi(event.object));
  }
}
