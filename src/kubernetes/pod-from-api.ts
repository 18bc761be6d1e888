import type { Pod } from '../pod.ts';
import { PodFromJson } from './pod-from-json.ts';
import { PodFromProtobuf } from './pod-from-protobuf.ts';
import { PodRecords } from './pod-record.ts';
import type { CanonicalIp } from './pod-record.ts';
import { salvagePod } from './salvage.ts';
import type { ObjectReader } from './wire/format.ts';

/** A copy of the whole object, as kubectl leaves it: never kept, whatever is asked for (rule F). */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/**
 * The border (rule B12): what the API says of a pod becomes a `Pod`, the same one from either format; the rest is dropped
 * or was never decoded. One reader is meant for all streams of a process: what records have in common is shared in it.
 *
 * - `podIps`: an address that is not canonical makes the pod unreadable (rule B6), as do a missing uid, namespace or name, a
 *   version that cannot be ordered, and a field of a wrong type. Empty addresses are none.
 * - `containers`: in the order of the spec, containers first, then init, then ephemeral ones, each with the status of its name.
 *   The image is the spec's, as `kubectl describe` and `kubectl get -o wide` show it; the status has what the runtime made of it.
 * - `owner`: the ownerReference with `controller: true`. `createdAt` is 0 where the API gives none, which a real one never does.
 */
export function podReader(options: {
  readonly annotations?: readonly string[];
  readonly canonicalIp: CanonicalIp;
  /** The record of a pod that is kept already: a new one shares what it says as that does. */
  readonly known?: (uid: string) => Pod | undefined;
}): ObjectReader<Pod> {
  const { annotations = [], canonicalIp, known = () => undefined } = options;
  const kept = new Set(annotations.filter((key) => key !== LAST_APPLIED));
  const json = new PodFromJson(kept);
  const protobuf = new PodFromProtobuf(kept);
  const records = new PodRecords(canonicalIp, known);
  return {
    kinds: ['Pod'],
    fromJson: (object) => records.record(json.read(object)),
    fromProtobuf: (bytes) => records.record(protobuf.read(bytes)),
    salvage: (bytes, format, error) => salvagePod(bytes, format, error, canonicalIp),
  };
}
