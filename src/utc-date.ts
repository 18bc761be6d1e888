const DAY_MS = 86_400_000;
const MOST_DATES = 10_000;

/** The pods of a cluster are of few days, and making a Date costs ten times as much as looking one up. */
const dates = new Map<number, string>();

/** The date of a day counted from 1970, by UTC: `2026-11-20`. Of what a Date can hold: others throw a RangeError. */
export function utcDate(day: number): string {
  let date = dates.get(day);
  if (date === undefined) {
    if (dates.size === MOST_DATES) dates.clear();
    date = new Date(day * DAY_MS).toISOString().slice(0, -'T00:00:00.000Z'.length);
    dates.set(day, date);
  }
  return date;
}
