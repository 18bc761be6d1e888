import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A folder as the kubelet mounts a Secret: each file is a link to `..data/<file>`, `..data` a link to a folder of its own, and a
 * change is a new folder and one rename of the link.
 */
export class MountedSecret {
  readonly #dir: string;
  #versions = 0;

  constructor(dir: string, files: Readonly<Record<string, string>>) {
    this.#dir = dir;
    this.swap(files);
    for (const name of Object.keys(files)) symlinkSync(join('..data', name), join(dir, name));
  }

  path(name: string): string {
    return join(this.#dir, name);
  }

  swap(files: Readonly<Record<string, string>>): void {
    const former = `..v${this.#versions}`;
    const folder = `..v${++this.#versions}`;
    mkdirSync(join(this.#dir, folder));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(this.#dir, folder, name), text);
    symlinkSync(folder, join(this.#dir, '..data_tmp'));
    renameSync(join(this.#dir, '..data_tmp'), join(this.#dir, '..data'));
    rmSync(join(this.#dir, former), { recursive: true, force: true });
  }
}
