import type { TestContext } from 'node:test';

interface Runs {
  run(signal: AbortSignal): Promise<unknown>;
}

interface Closes {
  close(): unknown;
}

/** Lets a writer run until it is stopped, at the end of the test at the latest; then what it needs is closed, in this order. */
export function keepRunning(t: TestContext, writer: Runs, ...needs: readonly Closes[]): () => Promise<void> {
  const ending = new AbortController();
  const running = writer.run(ending.signal);
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    stopped ??= (async () => {
      ending.abort();
      await running;
      for (const need of needs) await need.close();
    })();
    await stopped;
  };
  t.after(stop);
  return stop;
}
