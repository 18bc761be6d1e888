/** Long work in steps of well under a millisecond. Whoever has it done lets others go first between them, or not. */
export type Steps<T> = Generator<undefined, T, undefined>;

/** Pieces, points or intervals in one step. */
export const PER_STEP = 256;

export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}
