import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ERRORS } from '../../../src/errors.ts';
import { DEFAULT_IDENTITY_HEADERS } from '../../../src/http/forward-auth/setting-parsers.ts';
import { DENIALS } from '../../../src/http/forward-auth/verdict.ts';

const README = 'src/http/forward-auth/README.md';

/** The cells of a page's table under a heading row. */
const table = (page: string, head: string): string[][] =>
  (
    readFileSync(new URL(`../../../${page}`, import.meta.url), 'utf8')
      .split('\n\n')
      .find((block) => new RegExp(`^\\| ${head} `).test(block)) ?? ''
  )
    .trimEnd()
    .split('\n')
    .slice(2)
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.replaceAll('`', '').trim()),
    );

test('docs/forward-auth.md lists every reason of a denial, with its status and meaning', () => {
  assert.deepEqual(
    table('docs/forward-auth.md', 'reason'),
    Object.entries(DENIALS).map(([reason, { code, meaning }]) => [reason, String(ERRORS[code].status), meaning]),
  );
});

test('the README lists every identity header by its key', () => {
  assert.deepEqual(
    table(README, 'key').map(([key, header]) => [key, header]),
    Object.entries(DEFAULT_IDENTITY_HEADERS),
  );
});
