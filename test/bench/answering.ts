import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { request } from 'undici';
import { giveWay, goFirst, startChild, startLoad } from './child.ts';
import type { Child, Usage } from './child.ts';
import type { Blast } from './children/blast.ts';
import { progress } from './rows.ts';
import type { Scale } from './rows.ts';
import { median, ratios, spread } from './statistics.ts';
import type { Row } from './table.ts';

interface Page {
  readonly pods: readonly { readonly pod_ips: readonly string[] }[];
  readonly continue?: string;
}

/** Every address that has an answer, with its answer: what the floors must send is what we send. */
export async function answersOf(url: string, most: number): Promise<[string, string][]> {
  const answers: [string, string][] = [];
  for (let next: string | undefined = ''; next !== undefined && answers.length < most;) {
    const response = await request(`${url}/pods?limit=500${next && `&continue=${next}`}`);
    if (response.statusCode !== 200) throw new Error(`/pods: ${response.statusCode} ${await response.body.text()}`);
    const page = (await response.body.json()) as Page;
    for (const pod of page.pods) for (const ip of pod.pod_ips) answers.push([ip, JSON.stringify(pod)]);
    next = page.continue;
  }
  const kept: [string, string][] = [];
  const seen = new Set<string>();
  for (const [ip, body] of answers) {
    if (seen.has(ip)) continue;
    seen.add(ip);
    kept.push([ip, body]);
  }
  return kept;
}

/** Keeps the addresses that answer 200: an address of the host's network has no pod to send. */
export async function onlyFound(url: string, answers: readonly [string, string][]): Promise<[string, string][]> {
  const found: [string, string][] = [];
  for (let at = 0; at < answers.length; at += 1000) {
    const part = answers.slice(at, at + 1000);
    const response = await request(`${url}/pods/lookup`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ips: part.map(([ip]) => ip) }),
    });
    const { results } = (await response.body.json()) as { results: { status: number; pod?: unknown }[] };
    results.forEach((result, i) => {
      const entry = part[i];
      if (result.status === 200 && entry) found.push([entry[0], JSON.stringify(result.pod)]);
    });
  }
  return found;
}

export async function blast(
  load: Child,
  server: Child,
  target: { url: string; seconds: number },
): Promise<{ cpuUs: number; perSecond: number }> {
  const before = await server.ask<Usage>('usage');
  const result = await load.ask<Blast>('blast', target);
  const after = await server.ask<Usage>('usage');
  if (result.failed > 0) throw new Error(`${result.failed} requests failed`);
  return { cpuUs: ((after.cpu - before.cpu) / result.total) * 1e6, perSecond: result.perSecond };
}

/** `/pod?ip=` on one core against bare node:http sending the same bytes, and Go's encoding/json where Go is. */
export async function answering({ pods, rounds, seconds }: Scale): Promise<readonly Row[]> {
  const simulator = startChild('simulator', { core: 1 });
  const ours = startChild('ours', { core: 0 });
  const bare = startChild('bare-http', { core: 0 });
  const load = startLoad();
  const walker = startChild('load', { core: 1 });
  const rows: Row[] = [];
  try {
    progress(`reading ${pods} pods`);
    const url = await ours.ask<string>('start', {
      K8S_API_SERVER: await simulator.ask<string>('start', { pods }),
    });
    await ours.ask('synced');
    const answers = await onlyFound(url, await answersOf(url, 2 * pods));
    for (let at = 0; at < answers.length; at += 10_000) await bare.ask('load', answers.slice(at, at + 10_000));
    const bareUrl = await bare.ask<string>('listen');
    const go = await startGo(answers);
    await load.ask(
      'paths',
      answers.map(([ip]) => `/pod?ip=${ip}`),
    );
    const mine: { cpuUs: number; perSecond: number }[] = [];
    const floor: typeof mine = [];
    const peer: number[] = [];
    for (let round = -1; round < rounds; round++) {
      progress(`/pod?ip=, round ${round + 1} of ${rounds}`); // the first warms up
      const theirs = await blast(load, bare, { url: bareUrl, seconds });
      const own = await blast(load, ours, { url, seconds });
      const goResult = go && (await load.ask<Blast>('blast', { url: go.url, seconds }));
      if (round < 0) continue;
      floor.push(theirs);
      mine.push(own);
      if (goResult) peer.push(goResult.perSecond);
    }
    go?.stop();
    const perCpu = ratios(
      floor.map((one) => one.cpuUs),
      mine.map((one) => one.cpuUs),
    );
    rows.push({
      what: '/pod?ip= per CPU-second of the server',
      ours: `${spread(
        mine.map((one) => one.cpuUs),
        1,
      )} µs`,
      floor: `${spread(
        floor.map((one) => one.cpuUs),
        1,
      )} µs`,
      result: `× ${spread(perCpu)}`,
      target: '≥ 0.9 × bare node:http',
      met: median(perCpu) >= 0.9,
    });
    const perSecond = mine.map((one) => one.perSecond);
    rows.push({
      what: '/pod?ip= per second, 50 connections',
      ours: spread(perSecond, 0),
      floor: spread(
        floor.map((one) => one.perSecond),
        0,
      ),
      result: `× ${spread(
        ratios(
          perSecond,
          floor.map((one) => one.perSecond),
        ),
      )}`,
      target: '',
      met: undefined,
    });
    if (peer.length > 0) {
      rows.push({
        what: '/pod?ip= per second, against Go encoding/json',
        ours: spread(perSecond, 0),
        floor: spread(peer, 0),
        result: `× ${spread(ratios(perSecond, peer))}`,
        target: '> 1 × Go',
        met: median(ratios(perSecond, peer)) > 1,
      });
    }
    rows.push(...(await batches({ ours, url, ips: answers.map(([ip]) => ip), rounds })));
    rows.push(await walking({ load, walker, url, seconds }));
    return rows;
  } finally {
    await Promise.all([simulator, ours, bare, load, walker].map((child) => child.stop()));
  }
}

/**
 * CPU of a batch of 1,000 addresses, the HTTP around it included: the same ones each time, as of a client that asks who its peers
 * are, and others each time. The others lie anywhere in hundreds of MB, so that fetching them is most of what that costs; the
 * target was set where they were at hand.
 */
async function batches(of: { ours: Child; url: string; ips: readonly string[]; rounds: number }): Promise<Row[]> {
  const { ours, url, ips, rounds } = of;
  const draw = (): string[] => Array.from({ length: 1000 }, () => ips[Math.floor(Math.random() * ips.length)] ?? '');
  const ask = async (asked: readonly string[]): Promise<void> => {
    const response = await request(`${url}/pods/lookup`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ips: asked }),
    });
    await response.body.dump({ limit: 10 ** 9 });
  };
  const measured = async (next: () => readonly string[]): Promise<number[]> => {
    for (let i = 0; i < 100; i++) await ask(next());
    const each: number[] = [];
    for (let round = 0; round < Math.max(3, rounds); round++) {
      const before = await ours.ask<Usage>('usage');
      for (let i = 0; i < 50; i++) await ask(next());
      const after = await ours.ask<Usage>('usage');
      each.push(((after.cpu - before.cpu) / 50) * 1000);
    }
    return each;
  };
  progress('batches of 1,000 addresses');
  const same = draw();
  const again = await measured(() => same);
  const anew = await measured(draw);
  const row = (what: string, each: number[]): Row => ({
    what: `POST /pods/lookup, ${what}: CPU`,
    ours: `${spread(each)} ms`,
    floor: '',
    result: spread(each),
    target: '',
    met: undefined,
  });
  return [
    { ...row('1,000 addresses', again), target: '≤ 2 ms', met: median(again) <= 2 },
    row('1,000 others each time', anew),
  ];
}

/**
 * Lookups while somebody walks all pods in pages, without a pause. The two share a core, and the lookups go first there: what a
 * lookup's client waits for its core is not the server's.
 */
async function walking(of: { load: Child; walker: Child; url: string; seconds: number }): Promise<Row> {
  const { load, walker, url, seconds } = of;
  progress('walking /pods beside lookups');
  const probe = async (during: () => Promise<unknown>): Promise<number> => {
    await load.ask('probe', { url, everyMs: 2 });
    await during();
    return (await load.ask<{ p99: number }>('probed')).p99;
  };
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  giveWay(walker.process);
  goFirst(load.process);
  await probe(() => walker.ask('walk', { url, seconds: 1 })); // warms up
  const idle = await probe(pause);
  let pages = 0;
  const busy = await probe(async () => (pages = await walker.ask<number>('walk', { url, seconds })));
  return {
    what: `a lookup while /pods is walked, ${Math.round(pages / seconds)} pages/s: p99`,
    ours: `${busy.toFixed(2)} ms`,
    floor: `${idle.toFixed(2)} ms`,
    result: `× ${(busy / idle).toFixed(2)}`,
    target: '≤ 3 × idle',
    met: busy <= 3 * idle,
  };
}

/** Builds and starts the peer in Go; undefined where there is no Go. */
async function startGo(answers: readonly [string, string][]): Promise<{ url: string; stop: () => void } | undefined> {
  if (spawnSync('go', ['version']).status !== 0) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'podwhois-bench-'));
  const binary = join(folder, 'answer');
  const source = new URL('peers/answer.go', import.meta.url).pathname;
  const built = spawnSync('go', ['build', '-o', binary, source], { encoding: 'utf8' });
  if (!existsSync(binary)) throw new Error(`go build failed: ${built.stderr}`);
  const child = spawn(binary, [], { stdio: ['pipe', 'pipe', 'inherit'] });
  if (child.pid) spawnSync('taskset', ['-a', '-cp', '0', String(child.pid)]);
  for (const [ip, body] of answers) {
    if (!child.stdin.write(`{"ip":"${ip}","pod":${body}}\n`)) await once(child.stdin, 'drain');
  }
  child.stdin.end();
  const [port] = (await once(createInterface(child.stdout), 'line')) as [string];
  return {
    url: `http://127.0.0.1:${port}`,
    stop: () => {
      child.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
