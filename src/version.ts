import { readFileSync } from 'node:fs';

/** This podwhois' version. */
export function podwhoisVersion(): string {
  const file = new URL('../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
