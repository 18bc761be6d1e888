import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync, closeSync, readFileSync } from 'node:fs';
import process from 'node:process';
import type { ChildProcess } from 'node:child_process';

/** A server started by a test: its output goes to a file, and it dies with the test, however the test dies. */
export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  /** The exit code or signal's name, once it has ended. */
  readonly ended: string | undefined;
  readonly output: () => string;
  /** To this process only. */
  readonly signal: (signal: NodeJS.Signals) => void;
  /** Ends it (SIGKILL unless told, which also ends a frozen one) and waits until it is gone. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<string>;
}

export interface ChildOptions {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly logFile: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** The kernel kills the child when the test's process goes, even by SIGKILL; setpriv becomes the child, so the pid is its own. */
const SETPRIV = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path));

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export function startChild(options: ChildOptions): Child {
  const { name, logFile } = options;
  const log = openSync(logFile, 'a');
  const command = SETPRIV
    ? [SETPRIV, '--pdeathsig', 'KILL', options.file, ...options.args]
    : [options.file, ...options.args];
  const child = spawn(command[0] ?? '', command.slice(1), {
    stdio: ['ignore', log, log],
    env: options.env ?? process.env,
    cwd: options.cwd ?? process.cwd(),
  });
  closeSync(log);
  running.add(child);
  let ended: string | undefined;
  const end = once(child, 'exit').then(
    ([code, signal]) => {
      running.delete(child);
      return (ended = String(code ?? signal));
    },
    (error: unknown) => {
      running.delete(child);
      return (ended = String(error));
    },
  );
  const signal = (name: NodeJS.Signals): void => void child.kill(name);
  return {
    name,
    logFile,
    pid: child.pid ?? 0,
    get ended() {
      return ended;
    },
    output: () => readFileSync(logFile, 'utf8'),
    signal,
    stop: async (name = 'SIGKILL') => {
      if (ended === undefined) signal(name);
      return await end;
    },
  };
}
