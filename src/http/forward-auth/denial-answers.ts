import { STATUS_CODES } from 'node:http';
import { ERRORS, errorBody, retryAfter } from '../../errors.ts';
import type { ErrorCode } from '../../errors.ts';
import { JSON_TYPE } from '../answering.ts';
import { DENIALS } from './verdict.ts';
import type { DenyReason } from './verdict.ts';

/** What a preflight that does not pass is answered with, but for the headers of every answer. */
export interface DenialAnswer {
  readonly status: number;
  /** Flat pairs. */
  readonly headers: readonly string[];
  readonly body: string;
}

export type DenialAnswers = Readonly<Record<DenyReason | 'internal_error', DenialAnswer>>;

/**
 * Made once. The body says the reason, for proxies hand it on to the caller; never the rule, the candidates or a detail. `only403`:
 * for proxies to which other statuses mean something else (rule E2); the code still tells them apart.
 */
export function denialAnswers(only403: boolean): DenialAnswers {
  const reasons = Object.keys(DENIALS) as DenyReason[];
  const denials = reasons.map((reason) => {
    const { code, meaning } = DENIALS[reason];
    return [reason, answer(code, { ...errorBody(code, meaning), reason }, only403)];
  });
  const { meaning } = ERRORS.internal_error;
  const error = answer('internal_error', errorBody('internal_error', meaning), only403);
  return Object.fromEntries([...denials, ['internal_error', error]]) as DenialAnswers;
}

function answer(code: ErrorCode, body: object, only403: boolean): DenialAnswer {
  const status = only403 ? 403 : ERRORS[code].status;
  const text = JSON.stringify({ ...body, statusCode: status, error: STATUS_CODES[status] });
  const seconds = only403 ? undefined : retryAfter(code);
  return {
    status,
    headers: [
      'content-type',
      JSON_TYPE,
      ...(seconds === undefined ? [] : ['retry-after', String(seconds)]),
      'content-length',
      String(Buffer.byteLength(text)),
    ],
    body: text,
  };
}
