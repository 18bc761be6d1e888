import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ERRORS } from '../../../src/errors.ts';
import { DEFAULT_IDENTITY_HEADERS } from '../../../src/http/forward-auth/setting-parsers.ts';
import { DENIALS } from '../../../src/http/forward-auth/verdict.ts';

const README = readFileSync(new URL('../../../src/http/forward-auth/README.md', import.meta.url), 'utf8');

/** The cells of the table under a heading row. */
const table = (head: string): string[][] =>
  (README.split('\n\n').find((block) => new RegExp(`^\\| ${head} `).test(block)) ?? '')
    .trimEnd()
    .split('\n')
    .slice(2)
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.replaceAll('`', '').trim()),
    );

test('the README lists every reason of a denial, with its status and meaning', () => {
  assert.deepEqual(
    table('reason'),
    Object.entries(DENIALS).map(([reason, { code, meaning }]) => [
      reason,
      String(ERRORS[code].status),
      meaning.replaceAll('|', '\\|'),
    ]),
  );
});

test('the README lists every identity header by its key', () => {
  assert.deepEqual(
    table('key').map(([key, header]) => [key, header]),
    Object.entries(DEFAULT_IDENTITY_HEADERS),
  );
});
