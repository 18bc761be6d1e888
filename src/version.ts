import packageJson from '../package.json' with { type: 'json' };

/** This podwhois' version. Imported, not read: a bundle has it inside. */
export function podwhoisVersion(): string {
  return packageJson.version;
}
