/** Other people's text on a terminal or in one line of a message: labels, names, answers of a server, values of settings. */

/**
 * What must never reach a terminal raw: C0 and C1 control characters (escape sequences, line ends), the marks and overrides
 * of writing direction, invisible and line-separating characters, and lone surrogates.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

const escape = (character: string): string => {
  const code = character.codePointAt(0) ?? 0;
  if (code > 0xffff) return surrogates(code);
  return `\\u${code.toString(16).padStart(4, '0')}`;
};

/** As JSON writes a character above U+FFFF. */
const surrogates = (code: number): string =>
  [0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 0x3ff)]
    .map((unit) => `\\u${unit.toString(16)}`)
    .join('');

/** Escapes what is unsafe as `\uXXXX`, line ends too; longer texts are cut and say so. */
export function oneLine(text: string, longest = 200): string {
  const cut = text.length > longest ? text.slice(0, longest) : text;
  return cut.replace(UNSAFE, escape) + (cut === text ? '' : `… (${text.length} characters)`);
}

/** The same for a text of several lines that is JSON or double-quoted YAML: its meaning stays, its line ends too. */
export function escapeInDocument(text: string): string {
  return text.replace(UNSAFE, (character) => (character === '\n' ? character : escape(character)));
}

/** Whether the text holds anything that a terminal could take for more than text. */
export function isUnsafe(text: string): boolean {
  return text.search(UNSAFE) >= 0;
}
