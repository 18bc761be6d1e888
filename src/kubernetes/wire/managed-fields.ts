/**
 * `metadata.managedFields` is a third of a pod's JSON and nothing of it is kept (rule B12): it is cut from the bytes before
 * they are parsed. JSON that can be read is read alike with and without it, because
 *
 * - the beginning is the key, not text that looks like it: a quote after a comma is not escaped, so it opens or ends a
 *   string. If it opens one, that string is `managedFields` and the colon makes it a key. If it ended one, a letter would
 *   follow a string, which is not JSON.
 * - the end is that of its list: it is the first `]`, with no `[` before it, and it is not inside a string, for the quote that
 *   follows it after a comma is not escaped and, by the same argument, opens a string.
 * - at whatever depth it stands, a list of that name is nothing that is kept of an object.
 *
 * What is not so simple stays in. A caller whose text cannot be parsed after the cut parses the whole.
 */
const KEY = Buffer.from('"managedFields":[');

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const CLOSE_BRACE = 0x7d;

let scratch = Buffer.allocUnsafeSlow(0);

/** The text without its first list called managedFields, or without all of them; undefined when there is none to cut. */
export function withoutManagedFields(json: Buffer, which: 'first' | 'all'): string | undefined {
  let length = 0;
  let copied = 0;
  let at = json.indexOf(KEY);
  while (at !== -1) {
    const inside = at + KEY.length;
    const end = listEnd(json, inside);
    if (end !== -1 && json[at - 1] === COMMA) {
      if (scratch.length < json.length) scratch = Buffer.allocUnsafeSlow(json.length);
      length += json.copy(scratch, length, copied, at - 1);
      copied = end;
      if (which === 'first') break;
    }
    at = json.indexOf(KEY, inside);
  }
  if (copied === 0) return undefined;
  length += json.copy(scratch, length, copied);
  return scratch.toString('utf8', 0, length);
}

/** Where the list ends whose inside begins at `from`; -1 when that is not certain. */
function listEnd(json: Buffer, from: number): number {
  const close = json.indexOf(CLOSE_BRACKET, from);
  if (close === -1) return -1;
  const open = json.indexOf(OPEN_BRACKET, from);
  if (open !== -1 && open < close) return -1;
  let after = close + 1;
  while (json[after] === CLOSE_BRACE) after++;
  if (json[after] !== COMMA || json[after + 1] !== QUOTE) return -1;
  return isLetter(json[after + 2]) ? close + 1 : -1;
}

function isLetter(byte: number | undefined): boolean {
  return byte !== undefined && (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a;
}
