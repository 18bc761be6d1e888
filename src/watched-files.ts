import { isUtf8 } from 'node:buffer';
import { readFile, stat } from 'node:fs/promises';
import { withoutSecrets } from './log.ts';
import type { Log } from './log.ts';

/** Kubernetes takes up to a minute to bring a changed Secret or ConfigMap; this adds little to it. */
const POLL_MS = 2_000;
/** What stays broken is said again, so that it is not overlooked until a certificate has expired. */
const REMIND_MS = 10 * 60_000;
/** As much as a Secret or a ConfigMap can hold. */
const MAX_BYTES = 1024 * 1024;

export interface WatchOptions<T> {
  /** Files that belong together, like a certificate and its key. */
  readonly paths: readonly string[];
  /** Their contents in the same order. Throws an Error that says what is wrong with them, several faults on lines of their own. */
  readonly parse: (contents: readonly string[]) => T;
  readonly clock: { now(): number; sleep(ms: number, signal: AbortSignal): Promise<void> };
  readonly log: Log;
  /** Ends the watching. */
  readonly signal: AbortSignal;
}

/** What was read last of files that may be replaced at any time. */
export class Watched<T> {
  /** False: they cannot be used now, and the value is what they said before. */
  isValid = true;
  /** How often a change was read, by how that ended. */
  readonly reloads = { ok: 0, failed: 0 };
  #value: T;
  readonly #listeners: ((value: T) => void)[] = [];

  constructor(value: T) {
    this.#value = value;
  }

  get value(): T {
    return this.#value;
  }

  onChange(listener: (value: T) => void): void {
    this.#listeners.push(listener);
  }

  /** Only for whoever watches. */
  set(value: T): void {
    this.isValid = true;
    this.reloads.ok++;
    this.#value = value;
    for (const listener of this.#listeners) listener(value);
  }
}

/**
 * Reads files and goes on reading them, every two seconds: what is mounted from a Secret or a ConfigMap is replaced by swapping a
 * symbolic link, which no file's own notifications show. Rejects when they cannot be used now. Later such a state is logged as an
 * error, and what was read before stays.
 */
export async function watchFiles<T>(options: WatchOptions<T>): Promise<Watched<T>> {
  const contents = await readAll(options.paths);
  const watched = new Watched(options.parse(contents));
  void follow(options, watched, contents);
  return watched;
}

async function follow<T>(options: WatchOptions<T>, watched: Watched<T>, first: readonly string[]): Promise<void> {
  const { paths, parse, clock, log, signal } = options;
  let used = first;
  let last = first;
  let refused: { readonly contents: readonly string[]; readonly error: unknown } | undefined;
  let said = '';
  let saidAt = 0;
  for (;;) {
    await clock.sleep(POLL_MS, signal).catch(() => undefined);
    if (signal.aborted) return;
    try {
      const contents = await readAll(paths);
      const isWhole = alike(contents, last);
      last = contents;
      if (alike(contents, used)) {
        watched.isValid = true;
        if (said !== '') log.info({ files: paths }, 'files are again as they were read last');
        said = '';
        continue;
      }
      if (refused && alike(contents, refused.contents)) throw refused.error;
      // Of files that are being written a part is seen, which may allow more than the whole; of two that are being swapped, a pair
      // that never was. What two looks find alike is neither.
      if (!isWhole) continue;
      try {
        watched.set(parse(contents));
      } catch (error) {
        refused = { contents, error };
        throw error;
      }
      used = contents;
      refused = undefined;
      said = '';
      log.info({ files: paths }, 'files have changed and were read again');
    } catch (err) {
      const now = clock.now();
      watched.isValid = false;
      if (said !== String(err)) watched.reloads.failed++;
      if (said === String(err) && now - saidAt < REMIND_MS) continue;
      [said, saidAt] = [String(err), now];
      // Whoever wrote the file is told what is wrong in it; a stack of ours tells them nothing.
      const [reason, ...faults] = withoutSecrets((err as Error).message).split(/\n\s*/);
      log.error(
        { reason, ...(faults.length > 0 && { faults }), files: paths },
        'files have changed and cannot be used: what was read before stays',
      );
    }
  }
}

/** For `/ready?verbose`: not what is wrong with the files that a setting names, for that quotes them. */
export const remarkOn = (
  setting: string,
  { isValid }: Pick<Watched<unknown>, 'isValid'>,
): { readonly name: string; readonly ok: boolean; readonly message: string } => ({
  name: setting,
  ok: isValid,
  message: isValid ? 'in use as it is' : 'cannot be used, see the log: what it said before stays in use',
});

async function readAll(paths: readonly string[]): Promise<readonly string[]> {
  return await Promise.all(paths.map(readText));
}

async function readText(path: string): Promise<string> {
  const found = await stat(path);
  // Of a pipe the end might never come.
  if (!found.isFile()) throw new Error(`${path} is not a file`);
  if (found.size > MAX_BYTES) throw new Error(`${path} is longer than 1 MiB`);
  const bytes = await readFile(path);
  // Node would put U+FFFD in place of what is none.
  if (!isUtf8(bytes)) throw new Error(`${path} is not UTF-8`);
  return UTF8.decode(bytes);
}

/** Without the mark that some editors put in front. */
const UTF8 = new TextDecoder();

const alike = (a: readonly string[], b: readonly string[]): boolean => a.every((text, i) => text === b[i]);
