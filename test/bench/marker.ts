/**
 * A pod that comes and goes among all the others, for whose row a reader looks: the simulator notes when it made the change, the reader when it saw it.
 * Both know the uids beforehand, so nobody has to tell anybody anything meanwhile.
 */
export interface Marker {
  readonly uid: string;
  /** Milliseconds since 1970, in each process' own finest clock. */
  readonly came: number;
  gone?: number;
}

/** Where a pod has rows, and under which lease they are written. */
export const TABLES = { pods: 'snapshot', ip_history: 'history' } as const;

export const markerUid = (number: number): string => `marker-${number}`;

export const wallMs = (): number => performance.timeOrigin + performance.now();

/** How much later each change was seen than it was made; Infinity for what never was. */
export function lagsOf(made: readonly Marker[], seen: readonly Marker[]): number[] {
  const byUid = new Map(seen.map((marker) => [marker.uid, marker]));
  return made.flatMap(({ uid, came, gone }) => {
    const row = byUid.get(uid);
    const lags = [(row?.came ?? Infinity) - came];
    if (gone !== undefined) lags.push((row?.gone ?? Infinity) - gone);
    return lags;
  });
}
