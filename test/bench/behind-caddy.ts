import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environment, replaced, snippet } from '../proxy/support/pages.ts';
import { caddyfile, startCaddy } from '../proxy/support/proxies.ts';
import { freePorts } from '../support/free-ports.ts';
import { whyProxyMissing } from '../support/server-binaries.ts';
import { until } from '../support/until.ts';
import { startChild } from './child.ts';
import { progress } from './rows.ts';
import type { Scale } from './rows.ts';
import { ratios, spread } from './statistics.ts';
import type { Row } from './table.ts';

const PAGE = 'docs/proxies/caddy.md';
/** Caddy itself calls from 127.0.0.1. */
const CALLER = '127.0.0.2';

/** What the preflight adds to a lone request through Caddy: podwhois against a canned 200 with the same headers, both against no preflight. */
export async function behindCaddy({ rounds, seconds, smoke }: Scale): Promise<readonly Row[]> {
  const missing = whyProxyMissing('caddy');
  if (missing) {
    progress(`behind Caddy is left out: ${missing}`);
    return [];
  }
  await using all = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'podwhois-bench-'));
  all.defer(() => rmSync(folder, { recursive: true, force: true }));
  const simulator = all.adopt(startChild('simulator', { core: 1 }), async (child) => await child.stop());
  const podwhois = all.adopt(startChild('ours', { core: 0 }), async (child) => await child.stop());
  const canned = all.adopt(startChild('canned-200', { core: 0 }), async (child) => await child.stop());
  const caller = all.adopt(startChild('caller', { core: 1 }), async (child) => await child.stop());

  const url = await simulator.ask<string>('start', { pods: smoke ? 500 : 5000 });
  await simulator.ask('createPod', { namespace: 'team-a', name: 'caller', ips: [CALLER] });
  const settings = { ...environment(PAGE, 'podwhois'), TRUSTED_PROXIES: '127.0.0.1', K8S_API_SERVER: url };
  const asked = await podwhois.ask<string>('start', settings);
  await podwhois.ask('synced');
  const sample = await fetch(`${asked}/authorize?namespace=team-a`, { headers: { 'x-forwarded-for': CALLER } });
  if (!sample.ok) throw new Error(`the caller is denied: ${await sample.text()}`);
  const told = [...sample.headers].filter(
    ([name]) => name !== 'date' && name !== 'connection' && name !== 'keep-alive',
  );

  // The service behind the proxy is one and the same, and so is its answer.
  const app = new URL(await canned.ask<string>('listen', [told.flat()])).host;
  const [without = 0, ours = 0, theirs = 0] = await freePorts(3);
  const config = snippet(PAGE, 'Caddyfile');
  const sites = [
    caddyfile(config, { port: ours, podwhois: new URL(asked).host, app, folder }),
    replaced(config, { ':8000': `:${theirs}`, 'podwhois:8080': app, 'app:8080': app }),
    `:${without} {\n\treverse_proxy ${app}\n}\n`,
  ];
  all.adopt(startCaddy('caddy', sites.join('\n'), folder), async (caddy) => void (await caddy.stop()));
  await until('Caddy listens', async () => (await fetch(`http://127.0.0.1:${without}/`)).ok);

  const median = async (port: number): Promise<number> =>
    await caller.ask<number>('call', { url: `http://127.0.0.1:${port}/`, from: CALLER, seconds: seconds / 2 });
  const added: { ours: number[]; floor: number[] } = { ours: [], floor: [] };
  const bare: number[] = [];
  for (let round = -1; round < rounds; round++) {
    progress(`behind Caddy, round ${round + 1} of ${rounds}`); // the first warms up
    const [none, floor, own] = [await median(without), await median(theirs), await median(ours)];
    if (round < 0) continue;
    bare.push(none);
    added.floor.push(floor - none);
    added.ours.push(own - none);
  }
  return [
    {
      what: `added by the preflight to a request through Caddy (${spread(bare)} ms without): p50`,
      ours: `${spread(added.ours)} ms`,
      floor: `${spread(added.floor)} ms`,
      result: `× ${spread(ratios(added.ours, added.floor))}`,
      target: 'a canned 200 with the same headers',
      met: undefined,
    },
  ];
}
