import { flagName } from './schema.ts';
import type { Schema } from './schema.ts';

/** The table of docs/configuration.md. `npm run docs` writes it, a test compares it. */
export function settingsTable(schema: Schema): string {
  const rows = Object.values(schema).map((setting) => [
    `\`${setting.variable}\``,
    `\`${flagName(setting)}\``,
    setting.fallbackText,
    setting.help,
    `\`${setting.example}\``,
  ]);
  return [['variable', 'flag', 'default', 'what it does', 'example'], Array<string>(5).fill('---'), ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');
}
