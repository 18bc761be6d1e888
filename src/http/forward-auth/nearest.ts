/** The word that is two mistypings or less away, if any: for "did you mean". */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (word.length > 40) return undefined;
  const near = known
    .map((name) => ({ name, distance: distance(word.toLowerCase().replaceAll('_', ''), name.toLowerCase()) }))
    .filter(({ distance, name }) => distance <= Math.min(2, name.length / 2))
    .sort((a, b) => a.distance - b.distance);
  return near[0]?.name;
}

/** Levenshtein's. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
