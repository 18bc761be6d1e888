import { ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { LeanRequest } from './lean-request.ts';

/** V8 looks at seven. */
const FIRST = 8;

/**
 * How much room the objects of a class have for their properties V8 learns from the first of them ("slack tracking"). Where those are
 * collected one after another before it has seen enough, like the probes of a pod that is not ready yet, while the first sync goes on, it takes
 * it that they had none. For as long as the process lives each response is a hash table then, and lookups are slower. So the first of
 * them are made here, all at once.
 */
export function settleLayout(): void {
  const socket = new Socket();
  Array.from({ length: FIRST }, () => new ServerResponse(new LeanRequest(socket)));
}
