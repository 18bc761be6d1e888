import { fork, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { progress } from './rows.ts';

/** What a measured process reports of itself. */
export interface Usage {
  /** Seconds of user and system CPU since it started. */
  readonly cpu: number;
  readonly rssMb: number;
  readonly peakRssMb: number;
  /** Longest stall of its event loop since the last report, milliseconds. */
  readonly stallMs: number;
}

export interface Child {
  readonly process: ChildProcess;
  /** Asks the child's handler of that name; rejects with what it threw. */
  ask<T>(name: string, argument?: unknown): Promise<T>;
  stop(): Promise<void>;
}

const canPin = cpus().length > 1 && spawnSync('taskset', ['--version']).status === 0;

/** Where it shares a core it runs when nobody else wants to, and so does what it starts from now on. */
export const giveWay = ({ pid }: { readonly pid?: number | undefined }): void =>
  schedule(['--all-tasks', '--idle'], 0, pid);

/** It and all that it has started have that core, and no other; both can be had again. */
export function pin(pid: number | undefined, core: '0' | '1' | '0,1'): void {
  if (canPin) spawnSync('taskset', ['-a', '-cp', core, String(pid)]);
}

/** The processes that one has started and that run still; none where they cannot be listed. */
export const startedBy = (pid: number | undefined): readonly { readonly pid: number }[] =>
  (spawnSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' }).stdout ?? '')
    .split('\n')
    .flatMap((line) => (line === '' ? [] : { pid: Number(line) }));

/**
 * It is woken at once, whoever else wants the core: what it waits for is not the core. For what seldom has something to do. Only its main thread,
 * or it would wait for those of V8 beside it.
 */
export const goFirst = ({ pid }: { readonly pid?: number | undefined }): void => schedule(['--rr'], 1, pid);

/** Where the machine lets us; else it is said, for then the figures are others. */
function schedule(policy: readonly string[], priority: number, pid: number | undefined): void {
  const { status } = spawnSync('chrt', [...policy, '--pid', String(priority), String(pid)]);
  if (status !== 0) progress(`no right to "chrt ${policy.join(' ')}": who shares a core is waited for`);
}

/** How the image has V8 collect garbage. */
export function imageFlags(): readonly string[] {
  const [, entrypoint = '[]'] = /^ENTRYPOINT (.*)$/m.exec(readFileSync(DOCKERFILE, 'utf8')) ?? [];
  const flags = (JSON.parse(entrypoint) as string[]).slice(1, -1).filter((one) => !one.startsWith('--report-'));
  if (flags.length === 0) throw new Error('the Dockerfile has no ENTRYPOINT with flags for V8');
  return flags;
}

const DOCKERFILE = new URL('../../Dockerfile', import.meta.url);

/** The load that is measured with: what its own garbage stops it for would be counted as waits. */
export const startLoad = (): Child =>
  startChild('load', { core: 1, execArgv: ['--single-threaded-gc', '--min-semi-space-size=16'] });

/** Starts test/bench/children/NAME.ts as a process of its own, on one core where the machine lets us: 0 for what is measured, 1 for load. */
export function startChild(
  name: string,
  options: { core: 0 | 1; execArgv?: readonly string[]; env?: NodeJS.ProcessEnv },
): Child {
  const file = new URL(`children/${name}.ts`, import.meta.url);
  const child = fork(file, [], {
    execArgv: ['--expose-gc', ...(options.execArgv ?? [])],
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    serialization: 'advanced',
  });
  pin(child.pid, `${options.core}`);
  let next = 0;
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  child.on('message', (message: { id: number; value?: unknown; error?: string }) => {
    const waiter = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.error === undefined) waiter?.resolve(message.value);
    else waiter?.reject(new Error(`${name}: ${message.error}`));
  });
  const exited = new Promise<void>((resolve) => {
    child.once('exit', (code, signal) => {
      for (const waiter of waiting.values()) waiter.reject(new Error(`${name} ended (${code ?? signal})`));
      resolve();
    });
  });
  return {
    process: child,
    ask: async <T>(ask: string, argument?: unknown): Promise<T> => {
      const id = next++;
      const answer = new Promise<unknown>((resolve, reject) => waiting.set(id, { resolve, reject }));
      child.send({ id, ask, argument });
      return (await answer) as T;
    },
    stop: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
