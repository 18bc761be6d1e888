import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { answersOf, blast, onlyFound } from './answering.ts';
import { startChild, startLoad } from './child.ts';
import { progress } from './rows.ts';
import type { Scale } from './rows.ts';
import { median, ratios, spread } from './statistics.ts';
import type { Row } from './table.ts';

/** As many as call through one proxy at a time, or more; drawn from all pods. */
const CALLERS = 1000;

/** A hundred rules, as a cluster with fifty applications and some special cases may have them; the one that decides is the last. */
const RULES = `rules:
${Array.from({ length: 99 }, (_, i) => rule(i)).join('')}  - name: functions
    match: { path: "/fn/{namespace}/**", methods: [GET, POST] }
    allow: [{ pod: { sameNamespaceAs: "{namespace}" } }]
`;

function rule(i: number): string {
  const match = [
    `{ path: /app-${i}/** }`,
    `{ host: app-${i}.example, path: /app-${i}/** }`,
    `{ host: "*.team-${i}.example" }`,
    `{ path: /fn/admin-${i}/**, methods: [POST] }`,
  ][i % 4];
  const allow = [
    `[{ serviceAccount: team-${i}/default }]`,
    `[{ namespaceSelector: { matchLabels: { team: "${i}" } }, podSelector: { matchLabels: { app: web } } }]`,
    `[{ ipBlock: { cidr: 203.0.113.0/24 } }]`,
  ][i % 3];
  return `  - name: rule ${i}\n    match: ${match}\n    allow: ${allow}\n`;
}

interface Round {
  readonly cpuUs: number;
  readonly perSecond: number;
}

/**
 * Preflights on one core: against a canned 200 with the headers of one of our answers, against one with those of each caller in
 * turn, which are not all in the processor's cache, and against `/pod?ip=` for the same pods.
 */
export async function preflights({ pods, rounds, seconds }: Scale): Promise<readonly Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'podwhois-bench-'));
  const rules = join(folder, 'rules.yaml');
  writeFileSync(rules, RULES);
  const simulator = startChild('simulator', { core: 1 });
  const ours = startChild('ours', { core: 0 });
  const canned = startChild('canned-200', { core: 0 });
  const cannedEach = startChild('canned-200', { core: 0 });
  const load = startLoad();
  try {
    progress(`reading ${pods} pods`);
    const url = await ours.ask<string>('start', {
      K8S_API_SERVER: await simulator.ask<string>('start', { pods }),
      FORWARD_AUTH_RULES: rules,
      FORWARD_AUTH_PRESET: 'caddy',
      TRUSTED_PROXIES: '127.0.0.1',
    });
    await ours.ask('synced');
    const all = await onlyFound(url, await answersOf(url, 2 * pods));
    const answers = all.filter((_, i) => i % Math.ceil(all.length / CALLERS) === 0);
    const headers = answers.map(([ip, body]) =>
      asCaddySends(ip, (JSON.parse(body) as { namespace: string }).namespace),
    );
    const asked = { paths: headers.map(() => '/authorize'), headers };
    const told: string[][] = [];
    for (const lines of headers) told.push(await headersOf(url, lines));
    const cannedUrl = await canned.ask<string>('listen', told.slice(0, 1));
    const eachUrl = await cannedEach.ask<string>('listen', told);
    const lookups = answers.map(([ip]) => `/pod?ip=${ip}`);
    const [floor, each, mine, pod]: [Round[], Round[], Round[], Round[]] = [[], [], [], []];
    for (let round = -1; round < rounds; round++) {
      progress(`preflights, round ${round + 1} of ${rounds}`); // the first warms up
      await load.ask('requests', asked);
      const [theirs, eachs, own] = [
        await blast(load, canned, { url: cannedUrl, seconds }),
        await blast(load, cannedEach, { url: eachUrl, seconds }),
        await blast(load, ours, { url, seconds }),
      ];
      await load.ask('paths', lookups);
      const lookup = await blast(load, ours, { url, seconds });
      if (round < 0) continue;
      floor.push(theirs);
      each.push(eachs);
      mine.push(own);
      pod.push(lookup);
    }
    return [
      against('a canned 200', mine, floor, 0.8),
      against("a canned 200 with each caller's headers", mine, each, undefined),
      against('/pod?ip=', mine, pod, undefined),
    ];
  } finally {
    await Promise.all([simulator, ours, canned, cannedEach, load].map((child) => child.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
}

function against(what: string, mine: readonly Round[], other: readonly Round[], target: number | undefined): Row {
  const cpu = (rounds: readonly Round[]): number[] => rounds.map(({ cpuUs }) => cpuUs);
  const perCpu = ratios(cpu(other), cpu(mine));
  return {
    what: `preflights, 100 rules, 1,000 callers, per CPU-second, against ${what}`,
    ours: `${spread(cpu(mine), 1)} µs`,
    floor: `${spread(cpu(other), 1)} µs`,
    result: `× ${spread(perCpu)}`,
    target: target === undefined ? '' : `≥ ${target}`,
    met: target === undefined ? undefined : median(perCpu) >= target,
  };
}

/** As Caddy's forward_auth sends a browser's request on. */
function asCaddySends(ip: string, namespace: string): string {
  const headers = {
    'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
    Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
    'Accept-Encoding': 'gzip, deflate, br',
    'X-Forwarded-For': ip,
    'X-Forwarded-Host': 'functions.example',
    'X-Forwarded-Method': 'GET',
    'X-Forwarded-Proto': 'https',
    'X-Forwarded-Uri': `/fn/${namespace}/hello?name=world`,
  };
  return Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
}

/** Of our own answer, as flat pairs: what the floor sends. */
async function headersOf(url: string, lines: string): Promise<string[]> {
  const sent = Object.fromEntries(
    lines
      .trimEnd()
      .split('\r\n')
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
  );
  const { statusCode, headers, body } = await request(`${url}/authorize`, { headers: sent });
  await body.dump();
  if (statusCode !== 200) throw new Error(`the preflight is answered ${statusCode}`);
  return Object.entries(headers)
    .filter(([name]) => !['date', 'connection', 'keep-alive'].includes(name))
    .flatMap(([name, value]) => [name, String(value)]);
}
