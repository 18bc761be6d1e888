/** The value below which `share` (0..1) of the sorted copy lies. NaN for no values. */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** The ratios pair by pair: rounds are interleaved, so a machine whose speed drifts moves both sides of a pair. */
export function ratios(ours: readonly number[], floor: readonly number[]): number[] {
  return ours.map((value, round) => value / (floor[round] ?? Number.NaN));
}

/** `1.03 (0.98–1.11)`: the median and the range. */
export function spread(values: readonly number[], digits = 2): string {
  const [low, mid, high] = [quantile(values, 0), median(values), quantile(values, 1)].map((value) =>
    value.toFixed(digits),
  );
  return values.length > 1 ? `${mid} (${low}–${high})` : `${mid}`;
}
