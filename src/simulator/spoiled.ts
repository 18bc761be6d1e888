import { encodeJson } from './encoding/json.ts';
import { encodeMessage } from './encoding/protobuf.ts';
import { keyOf } from './key.ts';
import type { FaultActions } from './faults.ts';
import type { Format, PodVersion } from './pod-version.ts';

/** Field 1 again, as bytes, announcing 127 of them: the message ends before they do. */
const ENDS_TOO_LATE = Buffer.from([0x0a, 0x7f]);

/** The bytes of a pod, unless the script says that it is the one that cannot be read. Valid only until the next call. */
export function spoiled(pod: PodVersion, format: Format, { unreadable }: FaultActions): Uint8Array {
  if (!unreadable || pod.key !== keyOf(unreadable.namespace, unreadable.name)) return pod.bytes(format);
  if (unreadable.how === 'no-uid') {
    const { uid: _, ...metadata } = pod.object.metadata;
    const object = { ...pod.object, metadata };
    return format === 'json' ? Buffer.from(encodeJson(object)) : encodeMessage('Pod', object);
  }
  if (format === 'protobuf') return Buffer.concat([pod.bytes(format), ENDS_TOO_LATE]);
  const metadata = { ...pod.object.metadata, uid: 7, labels: 'not a map' };
  return Buffer.from(encodeJson({ ...pod.object, metadata, spec: 'not a spec' }));
}
