import type { Row } from './table.ts';

/** How large and how long: the full bench, or `--smoke`, which only shows that all of it runs. */
export interface Scale {
  readonly pods: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly realPods: number;
  readonly smoke: boolean;
}

export type Bench = (scale: Scale) => Promise<readonly Row[]>;

/** Says what is going on: the whole takes minutes. */
export function progress(text: string): void {
  process.stderr.write(`  … ${text}\n`);
}
