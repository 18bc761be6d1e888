import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { Agent, request } from 'undici';
import { startChild } from './child-process.ts';
import { freePorts } from './free-ports.ts';
import { until } from './until.ts';
import type { Child } from './child-process.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');

export interface HttpAnswer {
  readonly status: number;
  /** Seconds, from X-Podwhois-Age. */
  readonly age: number;
  /** From X-Podwhois-Resource-Version. */
  readonly version: number;
  readonly body: Readonly<Record<string, unknown>>;
}

interface Run {
  readonly port?: number;
  /** `serve` unless told. */
  readonly command?: string | undefined;
  /** The tree's unless told: a bundle, say. */
  readonly main?: string;
}

/** `podwhois serve`, or another command that goes on, as it is run in production: a process of its own, asked over HTTP. */
export class PodwhoisProcess {
  readonly url: string;
  readonly child: Child;
  readonly #dir: string;
  readonly #agent = new Agent({ connections: 8, bodyTimeout: 15_000, headersTimeout: 15_000 });

  private constructor(port: number, env: Readonly<Record<string, string>>, { command, main }: Run) {
    this.url = `http://127.0.0.1:${port}`;
    this.#dir = mkdtempSync(join(tmpdir(), 'podwhois-process-'));
    this.child = startChild({
      name: 'podwhois',
      file: process.execPath,
      args: [main ?? MAIN, command ?? 'serve'],
      logFile: join(this.#dir, 'log'),
      env: {
        PATH: process.env['PATH'],
        HOME: this.#dir,
        HOST: '127.0.0.1',
        PORT: String(port),
        LOG_FORMAT: 'json',
        ...env,
      },
    });
  }

  /** Returns when it listens, which is before it is synced; on a port of its own unless told where. */
  static async start(env: Readonly<Record<string, string>>, run: Run = {}): Promise<PodwhoisProcess> {
    const [port = 0] = run.port === undefined ? await freePorts(1) : [run.port];
    const podwhois = new PodwhoisProcess(port, env, run);
    try {
      const listening = async (): Promise<boolean> =>
        podwhois.child.ended !== undefined || (await podwhois.get('/health')).status === 200;
      await until('podwhois listens', listening);
      if (podwhois.child.ended !== undefined) throw new Error(`podwhois ended: ${podwhois.child.output()}`);
      return podwhois;
    } catch (error) {
      await podwhois.stop();
      throw error;
    }
  }

  async get(path: string): Promise<HttpAnswer> {
    const { statusCode, headers, body } = await request(this.url + path, { dispatcher: this.#agent });
    const text = await body.text();
    return {
      status: statusCode,
      age: Number(headers['x-podwhois-age'] ?? NaN),
      version: Number(headers['x-podwhois-resource-version'] ?? NaN),
      body: (text.startsWith('{') ? JSON.parse(text) : { text }) as Record<string, unknown>,
    };
  }

  async whoHas(ip: string): Promise<HttpAnswer> {
    return await this.get(`/pod?ip=${encodeURIComponent(ip)}`);
  }

  async ready(): Promise<boolean> {
    return (await this.get('/ready')).status === 200;
  }

  /** Waits until it is synced and fresh. */
  async untilReady(timeoutMs = 30_000): Promise<void> {
    await until('podwhois is ready', async () => await this.ready(), { timeoutMs });
  }

  /** What it has logged so far, line by line. */
  logged(): readonly string[] {
    return this.child.output().split('\n');
  }

  async stop(): Promise<void> {
    await this.child.stop();
    await this.#agent.destroy();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
