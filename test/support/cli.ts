import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

export const MAIN = join(import.meta.dirname, '../../src/main.ts');

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs podwhois as a process of its own, with nothing of this one's environment, and waits for its end. */
export async function podwhois(
  args: readonly string[],
  options: { readonly environment?: Readonly<Record<string, string>>; readonly input?: string } = {},
): Promise<Ran> {
  const child = spawn(process.execPath, [MAIN, ...args], { env: { ...options.environment }, stdio: 'pipe' });
  // A command that does not read its input may be gone before it is written.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: child.exitCode, stdout, stderr };
}
