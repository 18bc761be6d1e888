import { parseDuration } from '../duration.ts';
import { Problem } from './problem.ts';

const RFC_3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+ -])(\d\d):(\d\d))$/i;

/**
 * Milliseconds since 1970 of `2026-11-20T14:03:00Z`, or of `-15m`, so long before now. undefined: neither. A space may stand where a plus does:
 * that is what a plus in a query means.
 */
export function instantOf(text: string, now: number): number | undefined {
  if (text.startsWith('-')) {
    const ms = parseDuration(text.slice(1));
    return ms === undefined || text.startsWith('-+') ? undefined : Math.floor(now - ms);
  }
  const parts = RFC_3339.exec(text);
  if (!parts) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.slice(1, 7).map(Number);
  const [, , , , , , , fraction = '', sign, offsetHours = '0', offsetMinutes = '0'] = parts;
  const utc = new Date(0);
  utc.setUTCFullYear(year, month - 1, day);
  // No 30th of February, no hour 24, no leap second: Date would make another time of them.
  if (utc.getUTCMonth() !== month - 1 || utc.getUTCDate() !== day) return undefined;
  if (hour > 23 || minute > 59 || second > 59 || Number(offsetHours) > 23 || Number(offsetMinutes) > 59)
    return undefined;
  const ms = Number(fraction.padEnd(3, '0').slice(0, 3));
  const offset = (Number(offsetHours) * 60 + Number(offsetMinutes)) * 60_000 * (sign === '-' ? -1 : 1);
  return utc.getTime() + ((hour * 60 + minute) * 60 + second) * 1000 + ms - offset;
}

/** What a parameter that is a time may be. */
export const INSTANT = 'a time such as 2026-11-20T14:03:00Z, or -15m: so long ago';

/** Throws a Problem when the parameter is given and no time. */
export function instantParameter(name: string, text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined;
  const instant = instantOf(text, now);
  if (instant === undefined) throw new Problem('invalid_request', `${name}: expected ${INSTANT}`);
  return instant;
}
