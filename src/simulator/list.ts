import { envelope, itemHead, typeHead } from './encoding/framing.ts';
import { encodeMessage } from './encoding/protobuf.ts';
import type { ObjectsRequest } from './api-request.ts';
import type { Body } from './body.ts';
import type { FaultActions } from './faults.ts';
import { PARTIAL } from './object-version.ts';
import type { ObjectVersion, Shape, StoredObject } from './object-version.ts';
import { spoiled } from './spoiled.ts';
import { badRequest, continueExpired, expired, tooLarge } from './status.ts';
import { lowerBound } from './store.ts';
import type { ObjectStore } from './store.ts';

/** One page: its version, its objects, and the token of the next one. */
export interface Page {
  readonly version: number;
  readonly objects: readonly ObjectVersion<StoredObject>[];
  readonly continue: string;
  readonly remaining: number | undefined;
}

const START = '\0';

function encodeToken(version: number, after: string): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: version, start: `/${after}${START}` })).toString(
    'base64url',
  );
}

function decodeToken(token: string): { readonly version: number; readonly after: string } {
  try {
    const { v, rv, start } = JSON.parse(Buffer.from(token, 'base64url').toString()) as Record<string, unknown>;
    if (v === 'meta.k8s.io/v1' && Number.isSafeInteger(rv) && typeof start === 'string' && start.endsWith(START))
      return { version: rv as number, after: start.slice(1, -START.length) };
  } catch {
    // not ours: refused below
  }
  throw badRequest('invalid continue token: continue key is not valid');
}

/** The state a list is answered from. Throws ApiError as the real server does. */
function state(
  store: ObjectStore<StoredObject>,
  request: ObjectsRequest,
): { readonly version: number; readonly objects: readonly ObjectVersion<StoredObject>[] } {
  const { resourceVersion: wanted, match } = request;
  const now = { version: store.version, objects: store.objects };
  if (wanted === undefined || wanted === 0) return now;
  if (wanted > store.version) throw tooLarge(wanted, store.version);
  // Without a match, a version with a limit means exactly that version, unless it is 0 (API concepts, "resourceVersionMatch").
  if (match === 'NotOlderThan' || (match === '' && request.limit === 0)) return now;
  const objects = store.at(wanted);
  if (!objects) throw expired(wanted, store.floor);
  return { version: wanted, objects };
}

/** A script that asks for what is forgotten is wrong, and shall notice. */
function remembered(store: ObjectStore<StoredObject>, version: number): readonly ObjectVersion<StoredObject>[] {
  const objects = store.at(version);
  if (!objects) throw new Error(`staleVersion ${version} is not in the history`);
  return objects;
}

/** Where the keys of a namespace begin, and whether a key is still in it. */
function scope(
  objects: readonly ObjectVersion<StoredObject>[],
  namespace: string | undefined,
  after: string | undefined,
): number {
  const from = after ?? (namespace === undefined ? '' : `${namespace}/`);
  return lowerBound(objects.length, (i) => {
    const key = objects[i]?.key ?? '';
    return after === undefined ? key < from : key <= from;
  });
}

/** What a list (or one of its pages) answers. */
export function page(store: ObjectStore<StoredObject>, request: ObjectsRequest, faults: FaultActions): Page {
  let after: string | undefined;
  let { version, objects } =
    faults.staleVersion === undefined
      ? { version: store.version, objects: store.objects }
      : { version: faults.staleVersion, objects: remembered(store, faults.staleVersion) };
  if (request.verb === 'page') {
    const token = decodeToken(request.continue);
    const then = store.at(token.version);
    if (!then || token.version > store.version) throw continueExpired();
    ({ version, after } = token);
    objects = then;
  } else if (faults.staleVersion === undefined) ({ version, objects } = state(store, request));
  const most = Math.min(
    request.limit === 0 ? Infinity : request.limit,
    faults.keep ?? Infinity,
    faults.empty ? 0 : Infinity,
  );
  const prefix = request.namespace === undefined ? '' : `${request.namespace}/`;
  const chosen: ObjectVersion<StoredObject>[] = [];
  let more = false;
  let i = scope(objects, request.namespace, after);
  for (; i < objects.length; i++) {
    const object = objects[i];
    if (!object?.key.startsWith(prefix)) break;
    if (!request.everything && !request.matches(object.object)) continue;
    more = chosen.length >= most;
    if (more) break;
    chosen.push(object);
  }
  const last = chosen.at(-1);
  const continues = more && last !== undefined && most === request.limit;
  const counts = continues && request.everything && request.namespace === undefined;
  return {
    version,
    objects: chosen,
    continue: continues ? encodeToken(version, last.key) : '',
    remaining: counts ? objects.length - i : undefined,
  };
}

/** Writes a page; the whole list may be far larger than a string can be. */
export async function writePage(body: Body, page: Page, shape: Shape, faults: FaultActions): Promise<void> {
  const metadata = {
    resourceVersion: String(page.version),
    ...(page.continue === '' ? {} : { continue: page.continue }),
    ...(page.remaining === undefined ? {} : { remainingItemCount: page.remaining }),
  };
  await (shape.format === 'json' ? writeJson : writeProtobuf)(body, page.objects, metadata, { shape, faults });
  await body.end();
}

async function writeJson(
  body: Body,
  objects: readonly ObjectVersion<StoredObject>[],
  metadata: object,
  { shape, faults }: { readonly shape: Shape; readonly faults: FaultActions },
): Promise<void> {
  const head = typeHead(`${shape.kind}List`);
  body.write(Buffer.from(`${head}"metadata":${JSON.stringify(metadata)},"items":[`));
  const comma = Buffer.from(',');
  // Of objects cut down to their metadata, each names its kind.
  const itemHead = shape.kind === PARTIAL ? Buffer.from(typeHead(shape.kind)) : undefined;
  for (const [i, object] of objects.entries()) {
    if (i > 0) body.write(comma);
    const bytes = spoiled(object, shape, faults);
    if (itemHead) body.write(itemHead);
    body.write(itemHead ? bytes.subarray(1) : bytes);
    if (!body.full) continue;
    await body.flush();
    if (body.closed) return;
  }
  body.write(Buffer.from(']}\n'));
}

async function writeProtobuf(
  body: Body,
  objects: readonly ObjectVersion<StoredObject>[],
  metadata: object,
  { shape, faults }: { readonly shape: Shape; readonly faults: FaultActions },
): Promise<void> {
  // The length of the whole message stands in front of it, so all objects are encoded before the first byte is sent.
  const items = objects.map((object) => Uint8Array.prototype.slice.call(spoiled(object, shape, faults)));
  const head = Buffer.from(encodeMessage(`${shape.kind}List`, { metadata }));
  let length = head.length;
  for (const item of items) length += itemHead(item.length).length + item.length;
  const around = envelope(`${shape.kind}List`, length);
  body.write(around.head);
  body.write(head);
  for (const item of items) {
    body.write(itemHead(item.length));
    body.write(item);
    if (!body.full) continue;
    await body.flush();
    if (body.closed) return;
  }
  body.write(around.tail);
}
