import { execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { serverBinary } from './server-binaries.ts';

const run = promisify(execFile);

/** kubectl as somebody: the real program, so that what it says of the cluster owes nothing to our own client. */
export class Kubectl {
  readonly #kubeconfig: string;

  constructor(kubeconfig: string) {
    this.#kubeconfig = kubeconfig;
  }

  /** What it printed. Throws what it complained of. */
  async run(...args: readonly string[]): Promise<string> {
    const { stdout } = await run(serverBinary('kubectl'), ['--kubeconfig', this.#kubeconfig, ...args], {
      maxBuffer: 1 << 28,
      timeout: 60_000,
    });
    return stdout;
  }

  /** A GET of any path of the API, parsed. */
  async raw(path: string): Promise<unknown> {
    return JSON.parse(await this.run('get', '--raw', path));
  }

  /** Creates or changes objects; kubectl reads JSON as it reads YAML. */
  async apply(...objects: readonly object[]): Promise<void> {
    const child = spawn(serverBinary('kubectl'), ['--kubeconfig', this.#kubeconfig, 'apply', '-f', '-'], {
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    child.stdin.end(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
    const complaint = child.stderr.setEncoding('utf8').toArray();
    const [code] = await new Promise<[number | null]>((resolve, reject) => {
      child.once('error', reject).once('close', (code) => resolve([code]));
    });
    if (code !== 0) throw new Error(`kubectl apply: ${(await complaint).join('')}`);
  }

  /** The lines of a GET that streams (a watch), until the server ends it, or `signal` does. */
  async *lines(path: string, signal: AbortSignal): AsyncGenerator<string> {
    const args = ['--kubeconfig', this.#kubeconfig, 'get', '--raw', path];
    const child = spawn(serverBinary('kubectl'), args, { stdio: ['ignore', 'pipe', 'ignore'] });
    const stop = (): void => void child.kill('SIGKILL');
    signal.addEventListener('abort', stop);
    try {
      yield* createInterface(child.stdout);
    } finally {
      signal.removeEventListener('abort', stop);
      stop();
    }
  }
}
