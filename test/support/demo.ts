import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import process from 'node:process';
import type { TestContext } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');

/** `podwhois demo`, as a process of its own with nothing of this one's environment. */
export interface Demo {
  /** What it has printed so far. */
  readonly text: string;
  /** Where it says that podwhois, the API server or Postgres are. */
  place(name: 'podwhois' | 'API server' | 'Postgres'): string;
  /** Resolves when it has said so; rejects when it ends before. */
  said(pattern: RegExp): Promise<void>;
  /** The exit code. */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

export interface DemoOptions {
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Default: that of the tree. */
  readonly program?: string;
  readonly cwd?: string;
}

/** Resolves when it has said what to try. Killed at the test's end, if it has not ended. */
export async function startDemo(t: TestContext, options: DemoOptions = {}): Promise<Demo> {
  const { args = [], environment = {}, program = 'src/podwhois.js', cwd = ROOT } = options;
  const child = spawn(process.execPath, [program, 'demo', ...args], {
    cwd,
    env: { ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
  const demo: Demo = {
    get text() {
      return text;
    },
    place: (name) => new RegExp(`^ {2}${name} +(\\S+)`, 'm').exec(text)?.[1] ?? '',
    async said(pattern) {
      while (!pattern.test(text)) {
        await Promise.race([once(child.stdout, 'data'), exited]);
        if (child.exitCode !== null) throw new Error(`the demo ended, and said:\n${text}`);
      }
    },
    async end(signal) {
      child.kill(signal);
      await exited;
      return child.exitCode;
    },
  };
  await demo.said(/Ctrl-C/);
  return demo;
}
