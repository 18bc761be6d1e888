/** The floor's compact record: the fields of an answer, strings that repeat stored once, and nothing around it. */
export interface BareRecord {
  uid: string;
  name: string;
  namespace: string;
  resourceVersion: string;
  createdAt: number;
  deletedAt: number;
  ownerKind: string;
  ownerName: string;
  ownerUid: string;
  labels: Record<string, string> | undefined;
  node: string;
  serviceAccount: string;
  hostNetwork: boolean;
  phase: string;
  hostIp: string;
  ips: string[];
  qos: string;
  ready: boolean;
  startedAt: number;
  containers: BareContainer[];
}

export interface BareContainer {
  name: string;
  image: string;
  id: string;
  ready: boolean;
  restarts: number;
}

export const newRecord = (): BareRecord => ({
  uid: '',
  name: '',
  namespace: '',
  resourceVersion: '',
  createdAt: 0,
  deletedAt: 0,
  ownerKind: '',
  ownerName: '',
  ownerUid: '',
  labels: undefined,
  node: '',
  serviceAccount: '',
  hostNetwork: false,
  phase: '',
  hostIp: '',
  ips: [],
  qos: '',
  ready: false,
  startedAt: 0,
  containers: [],
});

export const newContainer = (): BareContainer => ({ name: '', image: '', id: '', ready: false, restarts: 0 });

/** Not by Object.create(null): that is a hash table from the start, and four times the size. */
export const newLabels = (): Record<string, string> => Object.setPrototypeOf({}, null) as Record<string, string>;

const strings = new Map<string, string>();

export function intern(text: string): string {
  const known = strings.get(text);
  if (known !== undefined) return known;
  strings.set(text, text);
  return text;
}

/** The floor's index: two maps, the last writer wins. */
export class BareIndex {
  readonly byUid = new Map<string, BareRecord>();
  readonly byIp = new Map<string, BareRecord>();

  upsert(record: BareRecord): void {
    this.byUid.set(record.uid, record);
    for (const ip of record.ips) this.byIp.set(ip, record);
  }
}
