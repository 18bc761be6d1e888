import { encode } from './object-version.ts';
import type { ObjectVersion, Shape, StoredObject } from './object-version.ts';
import { keyOf } from './key.ts';
import type { FaultActions } from './faults.ts';

/** Field 1 again, as bytes, announcing 127 of them: the message ends before they do. */
const ENDS_TOO_LATE = Buffer.from([0x0a, 0x7f]);

/** The bytes of an object, unless the script says that it is the one that cannot be read. Valid only until the next call. */
export function spoiled(one: ObjectVersion<StoredObject>, shape: Shape, { unreadable }: FaultActions): Uint8Array {
  if (!unreadable || one.key !== keyOf(unreadable.namespace, unreadable.name)) return one.bytes(shape);
  if (unreadable.how === 'no-uid') {
    const { uid: _, ...metadata } = one.object.metadata;
    return encode({ ...one.object, metadata } as unknown as StoredObject, shape);
  }
  if (shape.format === 'protobuf') return Buffer.concat([one.bytes(shape), ENDS_TOO_LATE]);
  const metadata = { ...one.object.metadata, uid: 7, labels: 'not a map' };
  return encode({ ...one.object, metadata, spec: 'not a spec' } as unknown as StoredObject, shape);
}
