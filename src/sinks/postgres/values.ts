import type { Value } from './mirrored-table.ts';

/** Values in the text form that Postgres reads. */

export const boolean = (value: boolean): Value => (value ? 't' : 'f');

/** Milliseconds since 1970, as UTC. */
export const timestamp = (ms: number | undefined): Value => (ms === undefined ? null : new Date(ms).toISOString());

/** Empty texts mean "there is none" in our records. */
export const textOrNull = (text: string | undefined): Value => (text === undefined || text === '' ? null : text);

/** `{"a","b"}`: every element quoted, so that none of them is taken for NULL or a brace. */
export const array = (texts: readonly string[]): Value =>
  `{${texts.map((text) => `"${text.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;

/** One line of COPY's text format. */
export function copyLine(values: readonly Value[]): string {
  let line = '';
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? null;
    if (i > 0) line += '\t';
    line +=
      value === null ? '\\N' : NEEDS_ESCAPE.test(value) ? value.replace(ESCAPES, (one) => ESCAPED[one] ?? one) : value;
  }
  return line + '\n';
}

const NEEDS_ESCAPE = /[\\\n\r\t]/;
const ESCAPES = /[\\\n\r\t]/g;
const ESCAPED: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };
