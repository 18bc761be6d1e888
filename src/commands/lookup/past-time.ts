import { instantOf } from '../../http/instant.ts';
import { LookupError } from './ask.ts';

/** As the HTTP interface wants it: `24h` and `-24h` are both so long ago. Throws `LookupError` for what is neither that nor a time. */
export function pastTime(flag: string, text: string): string {
  const time = [text, `-${text}`].find((one) => instantOf(one, 0) !== undefined);
  if (time !== undefined) return time;
  throw new LookupError(
    `${flag}: expected a duration, such as 15m, 24h (a day) or 720h (thirty): so long ago; or a time such as 2026-11-20T14:03:00Z`,
  );
}
