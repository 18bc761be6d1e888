import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import type { Logger } from 'pino';
import type { TestContext } from 'node:test';
import type { Clock, HttpSettings, Past, ServerOptions, Source } from '../../../src/http/context.ts';
import type { Limits } from '../../../src/http/limits.ts';
import type { HttpPlug } from '../../../src/http/plug.ts';
import { createServer } from '../../../src/http/server.ts';
import type { PodwhoisServer } from '../../../src/http/server.ts';
import type { View } from '../../../src/index/answer.ts';
import { PodIndex } from '../../../src/index/pod-index.ts';
import { createMetrics } from '../../../src/metrics.ts';
import type { Metrics } from '../../../src/metrics.ts';
import type { Pod } from '../../../src/pod.ts';

/** A clock that stands still until it is moved; who sleeps on it wakes when it has moved far enough. */
export class FakeClock implements Clock {
  #now = 0;
  readonly #sleepers = new Set<{ readonly until: number; readonly wake: () => void }>();

  get sleepers(): number {
    return this.#sleepers.size;
  }

  now(): number {
    return this.#now;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const sleeper = { until: this.#now + ms, wake: resolve };
      this.#sleepers.add(sleeper);
      const end = (): void => {
        this.#sleepers.delete(sleeper);
        resolve();
      };
      if (signal.aborted) end();
      else signal.addEventListener('abort', end, { once: true });
    });
  }

  advance(ms: number): void {
    this.#now += ms;
    for (const sleeper of this.#sleepers) {
      if (sleeper.until > this.#now) continue;
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
  }
}

/** The machine's own. */
export const REAL_CLOCK: Clock = {
  now: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, { signal }),
};

/** As fresh as the test says. */
export class FakeSource implements Source {
  synced = true;
  age = 250;
  resourceVersion = '4711';
  partial = false;
  problem: string | undefined = undefined;

  ageMs(): number {
    return this.synced ? this.age : Infinity;
  }

  details(): ReturnType<Source['details']> {
    const { synced, resourceVersion, problem } = this;
    return [{ slice: 'all namespaces', synced, ageMs: this.ageMs(), resourceVersion, problem }];
  }
}

export interface ServiceOptions {
  readonly settings?: Partial<HttpSettings>;
  readonly limits?: Partial<Limits>;
  readonly view?: View;
  readonly pods?: readonly Pod[];
  readonly feedCapacity?: number;
  readonly logLevel?: string;
  readonly listen?: boolean;
  readonly besides?: ServerOptions['besides'];
  readonly remarks?: ServerOptions['remarks'];
  /** Instead of one that stands still. */
  readonly clock?: Clock;
  readonly tokens?: ServerOptions['tokens'];
  readonly tls?: ServerOptions['tls'];
  readonly past?: Past;
  readonly plugs?: readonly HttpPlug[];
  /** One more, made of what the server is made of. */
  readonly plug?: (core: Core) => Promise<HttpPlug>;
}

export type Core = Pick<Service, 'index' | 'source' | 'clock' | 'metrics'> & { readonly log: Logger };

export interface Service {
  readonly url: string;
  readonly port: number;
  /** NaN unless the settings ask for one. */
  readonly preflightPort: number;
  readonly server: PodwhoisServer;
  readonly index: PodIndex;
  readonly source: FakeSource;
  readonly clock: FakeClock;
  readonly metrics: Metrics;
  /** What was logged, as JSON lines. */
  readonly logged: string[];
  readonly add: (...pods: Pod[]) => void;
  readonly remove: (...pods: Pod[]) => void;
}

/** podwhois' HTTP side on a real socket and a real index; closed with the test. */
export async function startService(t: TestContext, options: ServiceOptions = {}): Promise<Service> {
  const index = new PodIndex({ ...(options.feedCapacity !== undefined && { feedCapacity: options.feedCapacity }) });
  const store = index.slice();
  const source = new FakeSource();
  const clock = new FakeClock();
  const metrics = createMetrics();
  const logged: string[] = [];
  const log = pino({ level: options.logLevel ?? 'info' }, { write: (line: string) => void logged.push(line) });
  for (const pod of options.pods ?? []) store.upsert(pod);
  const plugs = [...(options.plugs ?? [])];
  if (options.plug) plugs.push(await options.plug({ index, source, clock, metrics, log }));
  const server = await createServer(
    {
      index,
      source,
      clock: options.clock ?? clock,
      metrics,
      log,
      view: options.view ?? { partial: false, clusterCidrs: [] },
      settings: {
        port: 0,
        host: '127.0.0.1',
        readyMaxStaleness: 90_000,
        serveMaxStaleness: 300_000,
        shutdownDelay: 0,
        ...options.settings,
      },
      limits: options.limits ?? {},
      ...(options.besides && { besides: options.besides }),
      ...(options.remarks && { remarks: options.remarks }),
      ...(options.past && { past: options.past }),
      tokens: options.tokens,
      tls: options.tls,
      version: '0.0.0',
    },
    plugs,
  );
  const { url, preflightUrl } = options.listen === false ? { url: '', preflightUrl: undefined } : await server.listen();
  t.after(async () => {
    server.app.server.closeAllConnections();
    await server.close();
  });
  return {
    url,
    preflightPort: Number(preflightUrl?.slice(preflightUrl.lastIndexOf(':') + 1)),
    server,
    index,
    source,
    clock,
    metrics,
    logged,
    port: Number(url.slice(url.lastIndexOf(':') + 1)),
    add: (...pods) => {
      for (const pod of pods) store.upsert(pod);
    },
    remove: (...pods) => {
      for (const pod of pods) store.remove(pod);
    },
  };
}
