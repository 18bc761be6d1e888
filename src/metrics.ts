import { collectDefaultMetrics, Counter, Gauge, Registry } from '@prometheus-io/client';

/**
 * THE table of metrics; `docs/metrics.md` lists the same (a test compares them). Names get the prefix `podwhois_`. A label's
 * values are listed here and nowhere else: no address and no name of a pod can become one.
 */
export const COUNTERS = {
  lists_total: {
    help: 'Lists of pods, by how they ended',
    label: 'result',
    values: ['ok', 'error', 'older', 'shrunken'],
  },
  watches_total: {
    help: 'Watches, by how they ended',
    label: 'end',
    values: ['clean', 'error', 'gone', 'corrupt', 'idle'],
  },
  watch_events_total: {
    help: 'Events received by watches',
    label: 'type',
    values: ['added', 'modified', 'deleted', 'bookmark', 'error'],
  },
  relists_total: {
    help: 'Lists begun, by what made them necessary',
    label: 'cause',
    values: ['start', 'periodic', 'gone', 'corrupt', 'backwards', 'outage', 'error'],
  },
  drift_total: {
    help: 'Pods that a periodic list had to repair: watch events that were lost',
    label: 'change',
    values: ['added', 'modified', 'deleted'],
  },
  consistent_reads_total: {
    help: 'Reads that prove how fresh the index is',
    label: 'result',
    values: ['ok', 'error', 'backwards'],
  },
  unreadable_total: { help: 'Objects that could not be read and were set aside', label: undefined, values: ['all'] },
  backwards_total: {
    help: 'Times the API server went back to an older state (etcd restored)',
    label: undefined,
    values: ['all'],
  },
  lookups_total: {
    help: 'Questions for one pod, by outcome; the addresses of a batch count one by one',
    label: 'outcome',
    values: [
      'found',
      'ambiguous',
      'no-pod',
      'host-network',
      'node',
      'terminal',
      'outside-cluster-cidr',
      'not-in-view',
      'invalid',
      'unreadable',
      'not_synced',
      'stale',
    ],
  },
  history_lookups_total: {
    help: 'Questions for who had an address at a time that has passed, by outcome',
    label: 'outcome',
    values: [
      'found',
      'inferred',
      'ambiguous',
      'no-pod',
      'host-network',
      'node',
      'terminal',
      'outside-cluster-cidr',
      'not-in-view',
      'not-observed',
      'beyond-retention',
      'invalid',
      'not_synced',
      'history_unavailable',
    ],
  },
  history_holes_total: {
    help: 'Times since the first sync in which nobody was watching: the index was stale, a change feed overrun, the process stalled',
    label: 'cause',
    values: ['stale', 'overrun', 'stalled'],
  },
  shed_total: { help: 'Requests refused because podwhois was busy', label: undefined, values: ['all'] },
  stream_dropped_total: { help: 'Streams ended because their reader was too slow', label: undefined, values: ['all'] },
} as const satisfies Record<string, CounterRow>;

export const GAUGES = {
  pods: 'Pods in the index',
  addresses: 'Distinct addresses held by pods',
  unreadable_objects: 'Objects set aside now because they cannot be read',
  synced: '1 once everything in view has been read, else 0',
  age_seconds: 'Age of the index, as in X-Podwhois-Age; +Inf until synced',
  namespaces: 'Namespaces whose labels are known; like all of namespaces, only while something needs their labels',
  unreadable_namespaces: 'Namespaces set aside now because they cannot be read',
  namespaces_age_seconds: 'Age of what is known of namespaces; +Inf until synced',
  stream_clients: 'Open streams',
  waiters: 'Lookups that wait for their pod',
  history_intervals: 'Intervals of the history of addresses that are held, open and ended',
  history_depth_seconds: 'How far back the history of addresses goes',
} as const;

/**
 * What a capability publishes besides, by name; its folder holds the table, and `docs/metrics.md` lists it. The values of a label are
 * listed, or a sentence fragment says what they are: something that the operator has written, never an address or a pod.
 */
export type Families = Readonly<Record<string, Family>>;

export interface Family {
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly labels: Readonly<Record<string, readonly string[] | string>>;
}

/** One line of the exposition: the labels' values in the order of the family's labels, and the number. */
export type Sample = readonly [labels: readonly string[], value: number];

interface CounterRow {
  readonly help: string;
  readonly label: string | undefined;
  readonly values: readonly string[];
}

type CounterName = keyof typeof COUNTERS;
type GaugeName = keyof typeof GAUGES;

/** Plain numbers, so that counting costs one addition: `counters.lookups_total.found++`. They only grow. */
export type Counters = { readonly [N in CounterName]: Record<(typeof COUNTERS)[N]['values'][number], number> };

export type LookupOutcome = keyof Counters['lookups_total'];

export interface Metrics {
  readonly counters: Counters;
  /** Called at every scrape for the gauges it knows; what nobody knows is left out. */
  observe(read: () => Partial<Record<GaugeName, number>>): void;
  /** Adds a family, named without the prefix; its samples are asked for at every scrape. The numbers of a counter only grow. */
  publish(name: string, family: Family, samples: () => Iterable<Sample>): void;
  readonly contentType: string;
  /** The exposition, in Prometheus' text format. */
  text(): Promise<string>;
}

const PREFIX = 'podwhois_';

/** Every counter at zero; published by whoever makes them so. */
export function zeroCounters(): Counters {
  const rows = Object.entries<CounterRow>(COUNTERS);
  return Object.fromEntries(
    rows.map(([name, { values }]) => [name, Object.fromEntries(values.map((value) => [value, 0]))]),
  ) as unknown as Counters;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  const readers: (() => Partial<Record<GaugeName, number>>)[] = [];
  // Ten times a second, as it comes, the client's quantiles stop the event loop again and again, for milliseconds.
  collectDefaultMetrics({ register: registry, eventLoopUtilizationTimeout: 1_000 });

  const counters = zeroCounters();
  for (const [name, { help, label, values }] of Object.entries<CounterRow>(COUNTERS)) {
    const numbers: Readonly<Record<string, number>> = counters[name as CounterName];
    const counter = new Counter({
      name: PREFIX + name,
      help,
      labelNames: label === undefined ? [] : [label],
      registers: [],
      collect() {
        this.reset();
        for (const value of values) this.inc(label === undefined ? {} : { [label]: value }, numbers[value]);
      },
    });
    registry.registerMetric(counter);
  }

  for (const [name, help] of Object.entries(GAUGES)) {
    const gauge = new Gauge({
      name: PREFIX + name,
      help,
      registers: [],
      collect() {
        const value = readers.map((read) => read()[name as GaugeName]).findLast((known) => known !== undefined);
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });
    registry.registerMetric(gauge);
  }

  return {
    counters,
    observe: (read) => void readers.push(read),
    publish(name, { type, help, labels }, samples) {
      const labelNames = Object.keys(labels);
      const collect = function (this: Counter<string> | Gauge<string>): void {
        this.reset();
        for (const [values, value] of samples()) {
          this.inc(Object.fromEntries(labelNames.map((label, i) => [label, values[i] ?? ''])), value);
        }
      };
      const options = { name: PREFIX + name, help, labelNames, registers: [], collect };
      registry.registerMetric(type === 'counter' ? new Counter(options) : new Gauge(options));
    },
    contentType: registry.contentType,
    text: () => registry.metrics(),
  };
}
