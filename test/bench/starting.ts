import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { request } from 'undici';
import { startChild } from './child.ts';
import { progress } from './rows.ts';
import type { Scale } from './rows.ts';
import { median, spread } from './statistics.ts';
import type { Row } from './table.ts';

/** From starting the process to its first 200 on /ready, on an empty cluster, as one bundle. */
export async function starting({ rounds }: Scale): Promise<readonly Row[]> {
  progress('start to first answer');
  const folder = mkdtempSync(join(tmpdir(), 'podwhois-bench-'));
  const bundle = join(folder, 'podwhois.mjs');
  await build({
    entryPoints: [new URL('../../src/main.ts', import.meta.url).pathname],
    outfile: bundle,
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
    banner: { js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);" },
  });
  const simulator = startChild('simulator', { core: 1 });
  try {
    const api = await simulator.ask<string>('start', { pods: 0 });
    const took: number[] = [];
    for (let round = 0; round < Math.max(3, rounds); round++) took.push(await startOnce(bundle, api));
    return [
      {
        what: 'start of the bundle → ready, empty cluster',
        ours: `${spread(took)} s`,
        floor: '',
        result: spread(took),
        target: '≤ 0.5 s',
        met: median(took) <= 0.5,
      },
    ];
  } finally {
    await simulator.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function startOnce(bundle: string, api: string): Promise<number> {
  const began = performance.now();
  const child = spawn(process.execPath, [bundle, 'serve'], {
    env: { ...process.env, PORT: '0', HOST: '127.0.0.1', K8S_API_SERVER: api, LOG_FORMAT: 'json' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    let log = '';
    let url: string | undefined;
    for await (const chunk of child.stdout.setEncoding('utf8')) {
      log += String(chunk);
      url = /"url":"(http:[^"]+)"/.exec(log)?.[1];
      if (url !== undefined) break;
    }
    if (url === undefined) throw new Error(`the bundle does not start: ${log}`);
    for (;;) {
      const { statusCode, body } = await request(`${url}/ready`);
      await body.dump();
      if (statusCode === 200) return (performance.now() - began) / 1000;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  } finally {
    child.kill('SIGKILL');
  }
}
