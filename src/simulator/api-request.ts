import type { IncomingMessage } from 'node:http';
import type { Resource } from './resources.ts';
import { fieldSelector, labelSelector } from './selectors.ts';
import type { Matcher } from './selectors.ts';
import { badRequest, invalidOptions } from './status.ts';
import type { StatusCauseObject } from './status.ts';

/** What a request for objects asks for. `sync` is a watch that begins with the objects (sendInitialEvents), `page` a list's later page. */
export type Verb = 'get' | 'list' | 'page' | 'watch' | 'sync';

export interface ObjectsRequest {
  readonly resource: Resource['name'];
  readonly verb: Verb;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly matches: Matcher;
  /** Nothing is selected: every object of the namespace fits. */
  readonly everything: boolean;
  readonly limit: number;
  readonly continue: string;
  /** undefined: unset. */
  readonly resourceVersion: number | undefined;
  readonly match: '' | 'Exact' | 'NotOlderThan';
  readonly timeoutSeconds: number;
  readonly bookmarks: boolean;
  readonly query: URLSearchParams;
}

const KNOWN = new Set([
  'watch',
  'limit',
  'continue',
  'resourceVersion',
  'resourceVersionMatch',
  'labelSelector',
  'fieldSelector',
  'timeoutSeconds',
  'allowWatchBookmarks',
  'sendInitialEvents',
  'pretty',
  'includeObject',
]);

const isTrue = (text: string | null): boolean => text !== null && text !== '0' && text.toLowerCase() !== 'false';

function integer(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? '';
  if (text === '') return 0;
  if (!/^[+-]?\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}

/** Rules between the options, in the words of apimachinery's internalversion/validation. */
function contradictions(query: URLSearchParams, watch: boolean): StatusCauseObject[] {
  const match = query.get('resourceVersionMatch') ?? '';
  const version = query.get('resourceVersion') ?? '';
  const sendsInitial = query.has('sendInitialEvents');
  const causes: StatusCauseObject[] = [];
  const forbid = (field: string, message: string): void => {
    causes.push({ reason: 'FieldValueForbidden', message: `Forbidden: ${message}`, field });
  };
  const unsupported = (values: string): void => {
    const message = `Unsupported value: ${JSON.stringify(match)}: supported values: ${values}`;
    causes.push({ reason: 'FieldValueNotSupported', message, field: 'resourceVersionMatch' });
  };
  if (watch) {
    if (match !== '' && !sendsInitial)
      forbid(
        'resourceVersionMatch',
        'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
      );
    if (sendsInitial && match !== 'NotOlderThan') {
      forbid('resourceVersionMatch', 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
      if (match !== '') unsupported('"NotOlderThan"');
    }
    return causes;
  }
  if (sendsInitial) forbid('sendInitialEvents', 'sendInitialEvents is forbidden for list');
  if (match === '') return causes;
  if (match !== 'Exact' && match !== 'NotOlderThan') unsupported('"Exact", "NotOlderThan", ""');
  else if (version === '')
    forbid('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided');
  else if (match === 'Exact' && version === '0')
    forbid('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
  return causes;
}

/** Reads the options of a request for objects; throws ApiError on what the real server refuses. */
export function readRequest(
  { name: resource, fields }: Resource,
  query: URLSearchParams,
  namespace: string | undefined,
  name: string | undefined,
): ObjectsRequest {
  for (const key of query.keys())
    if (!KNOWN.has(key)) throw badRequest(`the simulator does not know the option ${key}`);
  const watch = isTrue(query.get('watch'));
  const version = query.get('resourceVersion') ?? '';
  if (version !== '' && !/^\d{1,15}$/.test(version))
    throw badRequest(
      `invalid resource version: resourceVersion: Invalid value: ${JSON.stringify(version)}: strconv.ParseUint: parsing ${JSON.stringify(version)}: invalid syntax`,
    );
  const token = query.get('continue') ?? '';
  const limit = integer(query, 'limit');
  const timeoutSeconds = integer(query, 'timeoutSeconds');
  const selectors = [query.get('labelSelector') ?? '', query.get('fieldSelector') ?? ''] as const;
  const byLabels = labelSelector(selectors[0]);
  const byFields = fieldSelector(selectors[1], fields);
  const causes = contradictions(query, watch);
  if (causes.length > 0) throw invalidOptions(causes);
  if (token !== '' && version !== '' && version !== '0')
    throw badRequest('specifying resource version is not allowed when using continue');
  const list: Verb = token === '' ? 'list' : 'page';
  // Without a version to begin from, a watch begins with the objects (internalversion: SetListOptionsDefaults).
  const legacy = !query.has('sendInitialEvents') && (version === '' || version === '0');
  const watching: Verb = legacy || isTrue(query.get('sendInitialEvents')) ? 'sync' : 'watch';
  return {
    resource,
    verb: name !== undefined ? 'get' : watch ? watching : list,
    namespace,
    name,
    everything: selectors.every((text) => text === ''),
    matches: (object) => byLabels(object) && byFields(object),
    limit,
    continue: token,
    resourceVersion: version === '' ? undefined : Number(version),
    match: (query.get('resourceVersionMatch') ?? '') as ObjectsRequest['match'],
    timeoutSeconds,
    bookmarks: isTrue(query.get('allowWatchBookmarks')),
    query,
  };
}

/** The path (decoded) and the query of a request. */
export function target(request: IncomingMessage): { readonly path: string; readonly query: URLSearchParams } {
  try {
    const url = new URL(`http://simulator${request.url}`);
    return { path: decodeURIComponent(url.pathname), query: url.searchParams };
  } catch {
    throw badRequest(`not a path: ${JSON.stringify(request.url)}`);
  }
}
