import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  codeOfStatus,
  ERROR_CODES,
  errorBody,
  ERRORS,
  MISS_REASONS,
  PAST_MISS_REASONS,
  retryAfter,
} from '../src/errors.ts';
import { ErrorAnswer } from '../src/http/schemas.ts';
import type { Answer } from '../src/index/answer.ts';

const page = readFileSync(join(import.meta.dirname, '../docs/http-api.md'), 'utf8');

/** The rows of the table under a heading: cells without their backticks. */
function rows(heading: string): string[][] {
  const section = page.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const lines = section.split('\n').filter((line) => line.startsWith('| `'));
  return lines.map((line) =>
    line.split(' | ').map((cell) =>
      cell
        .replaceAll(/^\| | \|$/g, '')
        .replaceAll('`', '')
        .trim(),
    ),
  );
}

test('the document, the OpenAPI schema and the code list the same errors', () => {
  assert.deepEqual(
    rows('Errors'),
    ERROR_CODES.map((code) => [code, String(ERRORS[code].status), ERRORS[code].meaning.replaceAll('`', '')]),
  );
  assert.deepEqual((ErrorAnswer.properties.code as unknown as { enum: unknown }).enum, ERROR_CODES);
});

test('the document, the OpenAPI schema, the index and the code list the same reasons of a 404', () => {
  assert.deepEqual(rows('Reasons of a 404'), [...Object.entries(MISS_REASONS), ...Object.entries(PAST_MISS_REASONS)]);
  const { reason } = ErrorAnswer.properties as unknown as { reason: { enum: unknown } };
  assert.deepEqual(reason.enum, [...Object.keys(MISS_REASONS), ...Object.keys(PAST_MISS_REASONS)]);
  // Compiles only while the index knows no other reason.
  const reasons = (answer: Extract<Answer, { kind: 'none' }>): keyof typeof MISS_REASONS => answer.reason;
  assert.equal(reasons({ kind: 'none', reason: 'node' }), 'node');
});

test('an error has the shape of @fastify/sensible and a code', () => {
  assert.deepEqual(errorBody('pod_not_found', 'why', { reason: 'node' }), {
    statusCode: 404,
    code: 'pod_not_found',
    error: 'Not Found',
    message: 'why',
    reason: 'node',
  });
  for (const code of ERROR_CODES) assert.ok(errorBody(code, '').error.length > 2, code);
});

test('every 503 says when to ask again, and nothing else does', () => {
  for (const code of ERROR_CODES) assert.equal(retryAfter(code) !== undefined, ERRORS[code].status === 503, code);
});

test("only the statuses of a caller's fault that are ours have a code", () => {
  assert.equal(codeOfStatus(400), 'invalid_request');
  assert.equal(codeOfStatus(404), 'route_not_found');
  assert.equal(codeOfStatus(413), 'body_too_large');
  for (const status of [200, 402, 418, 500, 503]) assert.equal(codeOfStatus(status), undefined);
});
