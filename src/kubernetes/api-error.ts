import type { ApiStatus } from './wire/format.ts';

/** The API server, or a proxy before it, answered and refused. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  /** The `reason` of the Status, or empty. */
  readonly reason: string;
  readonly retryAfterMs: number;

  constructor(status: number, options: { reason?: string; message?: string; retryAfterMs?: number } = {}) {
    super(oneLine([`${status}`, options.reason, options.message].filter(Boolean).join(' ')));
    this.status = status;
    this.reason = options.reason ?? '';
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }

  static fromStatus(status: ApiStatus): ApiError {
    const { code, reason, message, retryAfterSeconds = 0 } = status;
    return new ApiError(code, { reason, message, retryAfterMs: retryAfterSeconds * 1000 });
  }
}

/** Something took longer than it may (B2, slow drip). */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}

/** An answer that no API server gives: HTML of a proxy, a redirect, a compressed body. */
export class UnexpectedAnswer extends Error {
  override readonly name = 'UnexpectedAnswer';

  constructor(what: string) {
    super(oneLine(what));
  }
}

/**
 * Rule B4, both ways: only a list helps. Reason and message count too: "too large resource version" comes as 504 Timeout
 * (a version from the future: etcd restored, or another API server), and in-stream codes are what the server put there.
 */
export function isGone(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false;
  return (
    error.status === 410 ||
    ['Expired', 'Gone'].includes(error.reason) ||
    /too large resource version/i.test(error.message)
  );
}

export function isForbidden(error: unknown): boolean {
  return error instanceof ApiError && error.status === 403;
}

export function isThrottled(error: unknown): boolean {
  return error instanceof ApiError && error.status === 429;
}

export function retryAfterOf(error: unknown): number {
  return error instanceof ApiError ? error.retryAfterMs : 0;
}

/** For a log line or /ready?verbose: what an error says, with the reason below it (undici hides it in `cause`). */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return oneLine(String(error));
  const cause = error.cause instanceof Error && error.cause.message !== error.message ? `: ${error.cause.message}` : '';
  return oneLine((error.message || error.name) + cause);
}

/** What others wrote, without control characters and of bounded length. */
function oneLine(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ').trim();
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}
