import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../../..');

/** A block of code of a page, as it stands there: the one whose first line is `# title`. */
export function snippet(page: string, title: string): string {
  const blocks = [...readFileSync(join(root, page), 'utf8').matchAll(/^```\w+\n(.*?)^```$/gms)].map(([, code]) => code);
  const found = blocks.filter((code) => code?.startsWith(`# ${title}\n`));
  assert.equal(found.length, 1, `${page} has not one block that begins with "# ${title}"`);
  return found[0] ?? '';
}

/** A block of `VARIABLE=value` lines. */
export function environment(page: string, title: string): Record<string, string> {
  const lines = snippet(page, title).trim().split('\n').slice(1);
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

/** Puts in what a test must change: addresses, ports, paths of files. What is not there cannot be replaced. */
export function replaced(text: string, changes: Readonly<Record<string, string>>): string {
  return Object.entries(changes).reduce((now, [from, to]) => {
    assert.ok(now.includes(from), `"${from}" is not in\n${now}`);
    return now.replaceAll(from, to);
  }, text);
}
