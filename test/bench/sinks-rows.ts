import { median, quantile, ratios, spread } from './statistics.ts';
import type { Row } from './table.ts';

/** A minute of one process, or a part of one. */
export interface Minute {
  readonly cpuShare: number;
  readonly events: number;
  /** Of each lookup, milliseconds. */
  readonly waits: readonly number[];
  /** How often V8 collected everything meanwhile. */
  readonly markCompacts: number;
  /** What the host of the machine took of the cores. */
  readonly stolenMs: number;
  readonly stallMs: number;
  readonly rssMb: number;
}

/** A minute with sinks and one without, in turns. */
export interface Pair {
  readonly ours: Minute;
  readonly off: Minute;
}

export interface Round {
  readonly on: Pair;
  /** As `on`, with a database that swallows everything, and goes on not to answer. */
  readonly hole: Pair;
  /** How much more is kept after a minute; with sinks while Postgres is silent. */
  readonly grownMb: { readonly off: number; readonly hole: number };
  /** Of each table's rows, milliseconds. */
  readonly lags: readonly (readonly number[])[];
  readonly walPerEvent: number;
  /** What the tables and their indexes are afterwards, as a multiple of what they were after the first snapshot. */
  readonly swollen: number;
  /** From the moment the database answers again until nothing is behind. */
  readonly recoveredMs: number;
}

/** What some turns are together. */
export const all = (turns: readonly Minute[]): Minute => ({
  cpuShare: mean(turns.map((one) => one.cpuShare)),
  events: mean(turns.map((one) => one.events)),
  waits: turns.flatMap((one) => one.waits),
  markCompacts: sum(turns.map((one) => one.markCompacts)),
  stolenMs: sum(turns.map((one) => one.stolenMs)),
  stallMs: Math.max(...turns.map((one) => one.stallMs)),
  rssMb: Math.max(...turns.map((one) => one.rssMb)),
});

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]): number => sum(values) / values.length;

/** Of what a lookup waits, milliseconds. */
export const p99 = ({ waits }: Minute): number => quantile(waits, 0.99);

export function rowsOf(
  rounds: readonly Round[],
  { pods, flushMs, tables }: { pods: number; flushMs: number; tables: readonly string[] },
): readonly Row[] {
  const of = (state: 'on' | 'hole', side: keyof Pair, pick: (minute: Minute) => number): number[] =>
    rounds.map((round) => pick(round[state][side]));
  const name = `${Math.round(median(of('on', 'ours', (one) => one.events)))} events/s on ${pods.toLocaleString('en')} pods`;
  const percent = (values: readonly number[]): string =>
    `${spread(
      values.map((value) => value * 100),
      1,
    )} %`;
  const more = (state: 'on' | 'hole'): Row => {
    const [ours, floor] = [of(state, 'ours', (one) => one.cpuShare), of(state, 'off', (one) => one.cpuShare)];
    const added = ours.map((share, round) => share - (floor[round] ?? Number.NaN));
    return {
      what: `${name}${SAY[state]}: CPU`,
      ours: percent(ours),
      floor: percent(floor),
      result: `${percent(added)} more`,
      target: '≤ 25 % of a core more',
      met: median(added) <= 0.25,
    };
  };
  const waits = (state: 'on' | 'hole'): Row => {
    const [ours, floor] = [of(state, 'ours', p99), of(state, 'off', p99)];
    const ratio = ratios(ours, floor);
    const say = (pick: (minute: Minute) => number): string =>
      `${spread(of(state, 'ours', pick), 0)}, ${spread(of(state, 'off', pick), 0)} without`;
    return {
      what: `${name}${SAY[state]}: a lookup waits, p99`,
      ours: `${spread(ours)} ms`,
      floor: `${spread(floor)} ms`,
      result: `× ${spread(ratio)}; longest stall in ms ${say((one) => one.stallMs)}; mark-compacts ${say((one) => one.markCompacts)}; stolen by the host ms ${say((one) => one.stolenMs)}`,
      target: '≤ 1.5 × without sinks',
      met: median(ratio) <= 1.5,
    };
  };
  const grown = rounds.map(({ grownMb }) => grownMb.hole);
  const grownOff = rounds.map(({ grownMb }) => grownMb.off);
  const grownMore = grown.map((mb, round) => mb - (grownOff[round] ?? Number.NaN));
  return [
    ...tables.map((table, i): Row => {
      const lags = rounds.flatMap((round) => round.lags[i] ?? []).map((lag) => lag / 1000);
      return {
        what: `${name}: rows of ${table} are behind, p99 of ${lags.length}`,
        ours: `${quantile(lags, 0.99).toFixed(2)} s`,
        floor: `${(flushMs / 1000).toFixed(2)} s between flushes`,
        result: `p50 ${quantile(lags, 0.5).toFixed(2)} s, ${lags.filter((lag) => lag === Infinity).length} never came`,
        target: '≤ the interval + 1 s',
        met: quantile(lags, 0.99) <= flushMs / 1000 + 1,
      };
    }),
    more('on'),
    waits('on'),
    more('hole'),
    waits('hole'),
    {
      what: `${name}${SAY.hole}: heap grows in a minute`,
      ours: `${spread(grown, 1)} MB`,
      floor: `${spread(grownOff, 1)} MB`,
      result: `${spread(grownMore, 1)} MB more`,
      target: 'flat: ≤ 2 MB more than without sinks',
      met: median(grownMore) <= 2,
    },
    {
      what: `${name} into Postgres: its log, per event`,
      ours: `${spread(
        rounds.map((round) => round.walPerEvent),
        0,
      )} B`,
      floor: '',
      result: `after it the tables are × ${spread(rounds.map((round) => round.swollen))}`,
      target: '',
      met: undefined,
    },
    {
      what: 'Postgres answers again → nothing is behind',
      ours: `${spread(rounds.map((round) => round.recoveredMs / 1000))} s`,
      floor: '',
      result: `peak RSS ${spread(
        of('hole', 'ours', (one) => one.rssMb),
        0,
      )} MB, without sinks ${spread(
        of('hole', 'off', (one) => one.rssMb),
        0,
      )} MB`,
      target: '',
      met: undefined,
    },
  ];
}

const SAY = { on: ' into Postgres', hole: ', Postgres silent' } as const;
