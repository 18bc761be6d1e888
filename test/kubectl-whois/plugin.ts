import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { serverBinary } from '../support/server-binaries.ts';
import type { Ran } from '../support/cli.ts';

export const PLUGIN = join(import.meta.dirname, '../../src/kubectl-whois/kubectl-whois');

const TOOLS = ['sh', 'awk', 'sed', 'tr', 'cat'];

/** What the plugin is run with: the machine's own sh and awk (dash and mawk on Debian), or nothing but BusyBox (Alpine). */
export const SYSTEMS = ['own', 'busybox'] as const;
export type System = (typeof SYSTEMS)[number];

/** For a test's options: a visible skip, but an error with CI=true, as `realServer` does it. */
export function installed(program: string): { readonly skip: string | false } {
  if (which(program) !== undefined) return { skip: false };
  const how = `${program} is not installed: apt-get install ${program}`;
  if (process.env['CI'] === 'true') throw new Error(how);
  return { skip: how };
}

/** A machine with kubectl, the plugin, a home, and nothing that the plugin does not say it needs. */
export class Machine {
  readonly home = mkdtempSync(join(tmpdir(), 'podwhois-plugin-'));

  constructor(system: System) {
    for (const tool of TOOLS) symlinkSync(which(system === 'own' ? tool : 'busybox') ?? '', join(this.home, tool));
    symlinkSync(serverBinary('kubectl'), join(this.home, 'kubectl'));
    symlinkSync(PLUGIN, join(this.home, 'kubectl-whois'));
  }

  /** `kubectl whois …` as it is typed: kubectl finds the plugin. */
  async whois(
    args: readonly string[],
    options: { readonly environment?: Readonly<Record<string, string>>; readonly input?: string } = {},
  ): Promise<Ran> {
    const environment = { PATH: this.home, HOME: this.home, ...options.environment };
    const child = spawn(join(this.home, 'kubectl'), ['whois', ...args], {
      env: environment,
      stdio: 'pipe',
      timeout: 60_000,
    });
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    return { code: child.exitCode, stdout, stderr };
  }

  remove(): void {
    rmSync(this.home, { recursive: true, force: true });
  }
}

function which(program: string): string | undefined {
  const found = spawnSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).stdout.trim();
  return found === '' ? undefined : found;
}
