import type { StringMap } from '../../pod.ts';
import { utcDate } from '../../utc-date.ts';
import type { ByteText } from './byte-text.ts';
import type { Value } from './mirrored-table.ts';

/** Values in the text form that Postgres reads. */

export const boolean = (value: boolean): Value => (value ? 't' : 'f');

/** Milliseconds since 1970, as UTC. Postgres does not read years that have not four digits, and a pod's status can hold any. */
export function timestamp(ms: number | undefined): Value {
  if (ms === undefined) return null;
  if (ms < YEAR_1) return '-infinity';
  if (ms >= YEAR_10000) return 'infinity';
  const whole = Math.floor(ms);
  const day = Math.floor(whole / DAY_MS);
  const seconds = Math.floor((whole - day * DAY_MS) / 1_000);
  const minute = MINUTES[Math.floor(seconds / 60)];
  return `${utcDate(day)}${minute}${TWO[seconds % 60]}${MILLISECONDS[whole - Math.floor(whole / 1_000) * 1_000]}`;
}

const DAY_MS = 86_400_000;
const TWO = Array.from({ length: 60 }, (_, i) => String(i).padStart(2, '0'));
/** Of a day. */
const MINUTES = Array.from({ length: 1_440 }, (_, i) => `T${TWO[Math.floor(i / 60)]}:${TWO[i % 60]}:`);
/** Of a second. */
const MILLISECONDS = Array.from({ length: 1_000 }, (_, i) => (i === 0 ? 'Z' : `.${String(i).padStart(3, '0')}Z`));

const YEAR_1 = Date.parse('0001-01-01T00:00:00Z');
const YEAR_10000 = Date.UTC(10_000, 0);

/** Empty texts mean "there is none" in our records. A NUL, for which Postgres has no place, is U+FFFD: it would hide the whole row. */
export const textOrNull = (text: string | undefined): Value =>
  text === undefined || text === '' ? null : text.includes('\u0000') ? text.replaceAll('\u0000', '\ufffd') : text;

/** `{"a","b"}`: every element quoted, so that none of them is taken for NULL or a brace. */
export function array(texts: readonly Value[]): string {
  if (texts.length === 0) return '{}';
  if (texts.every(isPlain)) return `{"${texts.join('","')}"}`;
  return `{${texts.map((text) => (text === null ? 'NULL' : `"${text.replace(/["\\]/g, '\\$&')}"`)).join(',')}}`;
}

const isPlain = (text: Value): boolean => text !== null && !QUOTED.test(text);
const QUOTED = /["\\]/;

/** Pods of one template share their maps. Keys in one order, whichever the API server sent: else a digest would be another one. */
export function mapJson(map: StringMap): Value {
  let text = known.get(map);
  if (text === undefined) {
    text = json(Object.fromEntries(Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1))));
    known.set(map, text);
  }
  return text;
}

const known = new WeakMap<StringMap, string>();

/** jsonb has no place for NUL and for half a surrogate pair, which an annotation may hold: U+FFFD stands for them. */
export function json(value: unknown): string {
  const text = JSON.stringify(value);
  return /\\u(?:0000|d[89a-f])/.test(text) ? JSON.stringify(value, (_key, part: unknown) => storable(part)) : text;
}

const storable = (part: unknown): unknown =>
  typeof part === 'string' ? part.toWellFormed().replaceAll('\u0000', '\ufffd') : part;

/** Adds a line of COPY's text format; `digest` is one value more. */
export function copyLine(lines: ByteText, values: readonly Value[], digest?: string): void {
  for (let i = 0; i < values.length; i++) {
    if (i > 0) lines.byte(TAB);
    const value = values[i] ?? null;
    if (value === null) lines.text('\\N');
    else lines.text(NEEDS_ESCAPE.test(value) ? value.replace(ESCAPES, (one) => ESCAPED[one] ?? one) : value);
  }
  if (digest !== undefined) {
    lines.byte(TAB);
    lines.text(digest);
  }
  lines.byte(NEWLINE);
}

const [TAB, NEWLINE] = [9, 10];
const NEEDS_ESCAPE = /[\\\n\r\t]/;
const ESCAPES = /[\\\n\r\t]/g;
const ESCAPED: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };
