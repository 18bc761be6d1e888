import { startSimulator } from '../../src/simulator/simulator.ts';
import type { Simulator, SimulatorOptions } from '../../src/simulator/simulator.ts';

/** One line of a watch. */
export interface Line {
  readonly type: string;
  readonly object: {
    readonly kind: string;
    readonly code?: number;
    readonly metadata: Readonly<Record<string, unknown>> & { readonly name: string; readonly resourceVersion: string };
    readonly [field: string]: unknown;
  };
}

export const SYNC =
  'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1';
export const PODS = '/api/v1/pods';

export async function withSimulator(
  options: SimulatorOptions,
  use: (simulator: Simulator) => Promise<void>,
): Promise<void> {
  const simulator = await startSimulator(options);
  try {
    await use(simulator);
  } finally {
    await simulator.close();
  }
}

export const parse = (text: string): Line[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);

/** All of a watch that ends by itself. */
export async function watch(simulator: Simulator, query: string): Promise<Line[]> {
  const response = await fetch(`${simulator.url}${PODS}?watch=1&timeoutSeconds=1&${query}`);
  return parse(await response.text());
}

export const told = (lines: readonly Line[]): string[] =>
  lines.map(({ type, object }) => `${type} ${object.metadata.name}`);

/** The bytes of a body that may break off, and whether it did. */
export async function bytesUntilBroken(
  response: Response,
): Promise<{ readonly bytes: Buffer; readonly broken: boolean }> {
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of response.body ?? []) chunks.push(chunk as Uint8Array);
    return { bytes: Buffer.concat(chunks), broken: false };
  } catch {
    return { bytes: Buffer.concat(chunks), broken: true };
  }
}
