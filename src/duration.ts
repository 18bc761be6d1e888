/** Durations as Go writes them (time.ParseDuration): `1500ms`, `90s`, `5m`, `1h2m3.5s`. Inside they are milliseconds. */

const NANOSECONDS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n, // U+00B5, micro sign
  μs: 1_000n, // U+03BC, Greek letter mu
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

const PART = /([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)/y;

/** Go's limit: an int64 of nanoseconds, some 292 years. */
const LONGEST = 2n ** 63n - 1n;

/** No duration anybody means is longer; keeps the arithmetic below small. */
const MAX_TEXT = 64;

/**
 * Milliseconds, or undefined when Go would refuse the text: a bare number (but `0`), spaces, unknown units, more than 292 years.
 * Negative durations are refused too: nothing here can last less than no time.
 */
export function parseDuration(text: string): number | undefined {
  if (text.length > MAX_TEXT) return undefined;
  const unsigned = text.startsWith('+') ? text.slice(1) : text;
  if (unsigned === '0') return 0;
  let total = 0n;
  PART.lastIndex = 0;
  do {
    const [, whole = '', fraction = '', unit = ''] = PART.exec(unsigned) ?? [];
    const size = NANOSECONDS[unit];
    if (size === undefined || whole + fraction === '') return undefined;
    // As Go does it: the fraction in floating point, what is left below a nanosecond cut off.
    const nanoseconds = Math.trunc(Number(fraction) * (Number(size) / 10 ** fraction.length));
    total += BigInt(whole) * size + BigInt(nanoseconds);
  } while (PART.lastIndex < unsigned.length);
  return total > LONGEST ? undefined : Number(total / 1_000_000n) + Number(total % 1_000_000n) / 1e6;
}

/** The shortest way to write it that Go reads back: `5m` (where Go itself writes `5m0s`), `1m30s`, `1.5s`, `500ms`, `0s`. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) return ms > 0 ? 'for ever' : 'unknown';
  if (ms < 0) return `-${formatDuration(-ms)}`;
  const ns = BigInt(Math.trunc(ms)) * 1_000_000n + BigInt(Math.round((ms % 1) * 1e6));
  if (ns === 0n) return '0s';
  for (const [unit, size] of [
    ['ns', 1n],
    ['µs', 1_000n],
    ['ms', 1_000_000n],
  ] as const) {
    if (ns < size * 1_000n) return decimal(ns, size) + unit;
  }
  const hours = ns / 3_600_000_000_000n;
  const minutes = (ns / 60_000_000_000n) % 60n;
  const rest = ns % 60_000_000_000n;
  return (
    (hours ? `${hours}h` : '') + (minutes ? `${minutes}m` : '') + (rest ? `${decimal(rest, 1_000_000_000n)}s` : '')
  );
}

/** `ns / size` with as many decimals as it has. */
function decimal(ns: bigint, size: bigint): string {
  const fraction =
    size === 1n
      ? ''
      : String(ns % size)
          .padStart(String(size).length - 1, '0')
          .replace(/0+$/, '');
  return String(ns / size) + (fraction ? `.${fraction}` : '');
}
