import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import type { Metafile } from 'esbuild';

/**
 * `npm run build`: all of podwhois in one file, the thread that the demo starts in another, and the licences of what is in them, all in
 * `dist/`.
 */

const ROOT = join(import.meta.dirname, '..');

/**
 * Runs before anything of the bundle does, on any Node that reads ES modules: says what is missing, as src/podwhois.js does for the
 * tree. The libraries that are CommonJS ask for Node's own modules by `require`.
 */
const HEAD = `#!/usr/bin/env node
import{createRequire}from'node:module';const require=createRequire(import.meta.url);
{const[a,b]=process.versions.node.split('.').map(Number);if(a<24||(a===24&&b<12)){process.stderr.write('podwhois: needs Node 24.12 or newer, and this is '+process.versions.node+'\\n');process.exit(2)}}`;

/** Writes `podwhois.mjs`, `postgres-thread.mjs` and `THIRD_PARTY_LICENSES` into a folder. Throws when a package in it comes without a licence. */
export async function bundle(folder: string): Promise<{ readonly file: string; readonly packages: readonly string[] }> {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'podwhois.mjs');
  const { metafile } = await build({
    entryPoints: [
      { in: join(ROOT, 'src/main.ts'), out: 'podwhois' },
      // Of PGlite it names only types: the package is found where it is installed, or not.
      { in: join(ROOT, 'src/commands/demo/postgres-thread.ts'), out: 'postgres-thread' },
    ],
    absWorkingDir: ROOT,
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'esm',
    // Older than needed, so that an old Node can read the file as far as to say that it is too old.
    target: 'node18',
    supported: { 'top-level-await': true },
    legalComments: 'none', // whole in THIRD_PARTY_LICENSES
    logLevel: 'error',
    metafile: true,
    banner: { js: HEAD },
  });
  const folders = packageFolders(metafile);
  writeFileSync(join(folder, 'THIRD_PARTY_LICENSES'), licences(folders));
  return { file, packages: folders.map((path) => nameOf(path)) };
}

/** Where the packages lie whose code is in the bundle, by name. */
function packageFolders({ inputs }: Metafile): string[] {
  const folders = new Set<string>();
  for (const path of Object.keys(inputs)) {
    const inside = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1];
    if (inside !== undefined) folders.add(inside);
  }
  return [...folders].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

const nameOf = (folder: string): string => folder.slice(folder.lastIndexOf('node_modules/') + 'node_modules/'.length);

function licences(folders: readonly string[]): string {
  const parts = folders.map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8')) as {
      name: string;
      version: string;
      license?: string;
    };
    const files = globSync('{LICEN[CS]E,licen[cs]e,NOTICE,COPYING}*', { cwd: join(ROOT, folder) }).filter((file) =>
      existsSync(join(ROOT, folder, file)),
    );
    if (files.length === 0 && license === undefined) throw new Error(`${folder} says nothing of its licence`);
    const texts = files.sort().map((file) => readFileSync(join(ROOT, folder, file), 'utf8').trim());
    return [`${name} ${version} (${license ?? 'see below'})`, ...texts].join('\n\n');
  });
  const line = '-'.repeat(80);
  return `podwhois holds the following packages.\n\n${line}\n${parts.join(`\n\n${line}\n`)}\n`;
}

if (import.meta.main) {
  const { file, packages } = await bundle(join(ROOT, 'dist'));
  const size = (readFileSync(file).length / 1e6).toFixed(1);
  process.stdout.write(`dist/podwhois.mjs: ${size} MB, with ${packages.length} packages\n`);
}
