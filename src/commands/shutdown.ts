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

/** One Ctrl-C or `kill` can come twice: from the terminal and from npm, from `timeout` and to its process group. */
const SAME_MS = 200;
const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const;

/**
 * Ends the process in order at the first signal (exit code 0) or uncaught error (1), at once at the second. Only SIGTERM waits:
 * it comes from Kubernetes, whose proxies need a moment to notice; Ctrl-C comes from a person. Returns what takes this back.
 */
export function onShutdown({ log, delayMs, close }: ShutdownOptions): () => void {
  let first: { readonly signal: string; readonly at: number } | undefined;
  let isClosing = false;
  const graceful = closeWithGrace(
    {
      delay: delayMs + DRAIN_MS,
      // Ours are caught here: between its first listener and its second one there is none, and a signal that comes then ends the process.
      // Those of a crash would only be caught to come again.
      skip: [...SIGNALS, 'SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGSEGV', 'SIGUSR2', 'beforeExit'],
      logger: { error: (err: unknown) => log.error({ err }, 'the end was not in order') },
      onTimeout: (delay) => log.error({ delay }, 'still not closed: ending all the same'),
    },
    async ({ err }) => {
      isClosing = true;
      if (err) log.fatal({ err }, 'an uncaught error: closing');
      else log.info({ signal: first?.signal }, 'closing');
      await close(first?.signal === 'SIGTERM' ? delayMs : 0);
      log.info('closed');
    },
  );
  const onSignal = (signal: string): void => {
    if (!isClosing) {
      first = { signal, at: performance.now() };
      graceful.close();
    } else if (first === undefined || performance.now() - first.at >= SAME_MS) {
      log.warn({ signal }, 'a second signal: ending at once');
      process.exit(1);
    }
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return () => {
    graceful.uninstall();
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
}
