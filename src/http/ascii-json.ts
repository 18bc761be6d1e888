const BEYOND_ASCII = /[^ -~]/g;
/** No quote, no backslash, no control character, nothing beyond ASCII: what stands in almost every field. */
export const PLAIN = /^[ !#-[\]-~]*$/;

/** JSON of nothing but ASCII: it is as long in bytes as in characters, and to send it is to copy it. */
export function asciiJson(value: unknown): string {
  if (typeof value === 'string' && PLAIN.test(value)) return `"${value}"`;
  return JSON.stringify(value).replace(BEYOND_ASCII, escaped);
}

const escaped = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
