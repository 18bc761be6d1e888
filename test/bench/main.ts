import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import type { Bench, Scale } from './rows.ts';
import { firstSync } from './sync.ts';
import { history } from './history.ts';
import { growth } from './growth.ts';
import { memory } from './memory.ts';
import { real } from './real.ts';
import { sinks } from './sinks.ts';
import { snapshot } from './snapshot.ts';
import { starting } from './starting.ts';
import { watching } from './watching.ts';
import { answering } from './answering.ts';
import { preflights } from './preflights.ts';
import { behindCaddy } from './behind-caddy.ts';
import { printTable } from './table.ts';

/** `npm run bench`: what ../shared/performance.md lists, each against a floor in the same run. */
const BENCHES: Readonly<Record<string, Bench>> = {
  sync: firstSync,
  watching,
  memory,
  growth,
  answering,
  preflights,
  starting,
  snapshot,
  history,
  sinks,
  'behind-caddy': behindCaddy,
  real,
};

const USAGE = `usage: npm run bench -- [options]
  --only NAME   one row of ${Object.keys(BENCHES).join(', ')}; may be repeated
  --smoke       everything once and small: its figures mean nothing
  --pods N      150000
  --rounds N    5
  --seconds N   8, of each measurement`;

const values = options();
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const smoke = values.smoke;
const scale: Scale = {
  pods: Number(values.pods ?? (smoke ? 2000 : 150_000)),
  rounds: Number(values.rounds ?? (smoke ? 1 : 5)),
  seconds: Number(values.seconds ?? (smoke ? 1 : 8)),
  realPods: values.pods ? Number(values.pods) : smoke ? 500 : 40_000,
  smoke,
};
const names = values.only ?? Object.keys(BENCHES);

console.log(`node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}`);
if (smoke) console.log('smoke run: it shows that everything runs; its figures mean nothing');
let missed = 0;
for (const name of names) {
  const bench = BENCHES[name];
  if (!bench) {
    console.error(`no bench ${name}\n${USAGE}`);
    process.exit(2);
  }
  const rows = await bench(scale);
  missed += rows.filter((row) => row.met === false).length;
  console.log(`\n${printTable(rows)}`);
}
console.log(missed === 0 ? '\nall targets reached' : `\n${missed} targets missed`);
process.exit(0);

function options() {
  try {
    return parseArgs({
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        only: { type: 'string', multiple: true },
        smoke: { type: 'boolean', default: false },
        pods: { type: 'string' },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
      },
    }).values;
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    return process.exit(2);
  }
}
