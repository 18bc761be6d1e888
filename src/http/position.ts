/**
 * Where a page of /pods ended, as the opaque `continue` token. It holds the name of the last pod and nothing of this process, so
 * another replica goes on from it.
 */
export interface Position {
  readonly namespace: string;
  readonly name: string;
}

/** Kubernetes' names have at most 253 characters; a token of two of them, in base64url of JSON, stays below this. */
const MAX_TOKEN = 1024;

export function tokenOf({ namespace, name }: Position): string {
  return Buffer.from(JSON.stringify([namespace, name])).toString('base64url');
}

/** undefined: not a token of ours. */
export function positionOf(token: string): Position | undefined {
  if (token.length > MAX_TOKEN) return undefined;
  const parts = parse(Buffer.from(token, 'base64url').toString());
  if (!Array.isArray(parts) || parts.length !== 2) return undefined;
  const [namespace, name] = parts as unknown[];
  if (typeof namespace !== 'string' || typeof name !== 'string') return undefined;
  // Buffer skips what is not base64url: only the very text that we would write is a token.
  return tokenOf({ namespace, name }) === token ? { namespace, name } : undefined;
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** The index's order: namespace, then name, by code units. */
export function isAfter(a: Position, b: Position): boolean {
  return a.namespace === b.namespace ? a.name > b.name : a.namespace > b.namespace;
}
