import closeWithGrace from 'close-with-grace';
import type { Log } from '../log.ts';

/** After this long the process ends all the same. Open requests have 10 s, the history's last proof 2.5 s, a last flush 5 s; Kubernetes kills after 30 s. */
const DRAIN_MS = 18_000;

export interface ShutdownOptions {
  readonly log: Log;
  /** How long SIGTERM waits, not ready, before it stops serving. */
  readonly delayMs: number;
  readonly close: (delayMs: number) => Promise<void>;
}

/**
 * Ends the process in order at the first signal (exit code 0) or uncaught error (1), at once at the second. Only SIGTERM waits:
 * it comes from Kubernetes, whose proxies need a moment to notice; Ctrl-C comes from a person. Returns what takes this back.
 */
export function onShutdown({ log, delayMs, close }: ShutdownOptions): () => void {
  const { uninstall } = closeWithGrace(
    {
      delay: delayMs + DRAIN_MS,
      // Signals of a crash would only be caught to come again.
      skip: ['SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGSEGV', 'SIGUSR2', 'beforeExit'],
      logger: { error: (err: unknown) => log.error({ err }, 'the end was not in order') },
      onTimeout: (delay) => log.error({ delay }, 'still not closed: ending all the same'),
      onSecondSignal: (signal) => log.warn({ signal }, 'a second signal: ending at once'),
    },
    async ({ signal, err }) => {
      if (err) log.fatal({ err }, 'an uncaught error: closing');
      else log.info({ signal }, 'closing');
      await close(signal === 'SIGTERM' ? delayMs : 0);
      log.info('closed');
    },
  );
  return uninstall;
}
