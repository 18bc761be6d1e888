import { explain } from './api-error.ts';
import type { ResourceVersion, Unreadable } from '../pod.ts';

/** What a reflector must know of an object, whatever its kind. */
export interface ApiObject {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: ResourceVersion;
}

/** An object that was read, but that the store would not take (rule B6): its addresses must not answer as if nobody had them. */
export function refusedByStore<T extends ApiObject>(
  object: T,
  error: unknown,
  addressesOf: (object: T) => readonly string[],
): Unreadable {
  const { uid, namespace, name } = object;
  return { key: uid, namespace, name, ips: addressesOf(object), reason: explain(error) };
}
