import { readFile, stat } from 'node:fs/promises';
import type { Clock } from '../context.ts';

export interface ReloadedFileOptions<T> {
  readonly path: string;
  readonly maxBytes: number;
  /** Makes of the file what it means, or throws. */
  readonly read: (bytes: Buffer) => T | Promise<T>;
  /** It has changed, and is in use from now on. */
  readonly onChange: (value: T) => void;
  /** It cannot be read, or is wrong, and what it said before stays in use: told once for each state of the file. */
  readonly onProblem: (error: unknown) => void;
}

/** The kubelet takes up to a minute to write a change into a mount: this adds little. */
const EVERY_MS = 5_000;

/**
 * A file that is read again when it changes. Mounted ConfigMaps and Secrets change by a swap of symlinks beside the file, which a
 * watch of the file does not see: so it is looked at every few seconds, following the links.
 */
export class ReloadedFile<T> {
  readonly #options: ReloadedFileOptions<T>;
  #state: string;
  #bytes: Buffer;
  #value: T;
  /** False: the file is wrong now, and the value is what it said before. */
  isValid = true;
  /** How often a change was read, by how that ended. */
  readonly reloads = { ok: 0, failed: 0 };

  private constructor(options: ReloadedFileOptions<T>, first: { state: string; bytes: Buffer; value: T }) {
    this.#options = options;
    this.#state = first.state;
    this.#bytes = first.bytes;
    this.#value = first.value;
  }

  /** Rejects when it cannot be read or is wrong. */
  static async open<T>(options: ReloadedFileOptions<T>): Promise<ReloadedFile<T>> {
    const state = await stateOf(options);
    const bytes = await readFile(options.path);
    return new ReloadedFile(options, { state, bytes, value: await options.read(bytes) });
  }

  get value(): T {
    return this.#value;
  }

  /** Looks at it once. Never rejects. */
  async check(): Promise<void> {
    try {
      const state = await stateOf(this.#options);
      if (state === this.#state) return;
      // Set before the reading: what changes meanwhile is seen the next time.
      this.#state = state;
      await this.#reload();
    } catch (error) {
      const state = `failed: ${String(error)}`;
      if (state === this.#state) return;
      this.#state = state;
      this.#failed(error);
    }
  }

  /** Looks at it until the signal aborts. */
  async run(clock: Clock, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await clock.sleep(EVERY_MS, signal).catch(() => undefined);
      if (!signal.aborted) await this.check();
    }
  }

  async #reload(): Promise<void> {
    const { path, read, onChange } = this.#options;
    const bytes = await readFile(path);
    if (bytes.equals(this.#bytes) && this.isValid) return;
    let value: T;
    try {
      value = await read(bytes);
    } catch (error) {
      return this.#failed(error);
    }
    this.#bytes = bytes;
    this.#value = value;
    this.isValid = true;
    this.reloads.ok++;
    onChange(value);
  }

  #failed(error: unknown): void {
    this.isValid = false;
    this.reloads.failed++;
    this.#options.onProblem(error);
  }
}

async function stateOf({ path, maxBytes }: { readonly path: string; readonly maxBytes: number }): Promise<string> {
  const now = await stat(path, { bigint: true });
  if (!now.isFile()) throw new Error(`${path} is not a file`);
  if (now.size > maxBytes) throw new Error(`${path} is larger than ${maxBytes} bytes`);
  return [now.dev, now.ino, now.size, now.mtimeNs, now.ctimeNs].join(' ');
}
