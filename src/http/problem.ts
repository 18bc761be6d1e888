import type { ErrorCode } from '../errors.ts';

/** Thrown by a route that cannot go on; the one error handler answers it. What is expected of a lookup is a Decision instead. */
export class Problem extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
