import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as prettier from 'prettier';
import { CAPABILITIES } from '../../src/capabilities.ts';
import { settingsTable } from '../../src/settings/markdown.ts';
import { DEMO, HEALTHCHECK, LOOKUP, MIGRATE } from '../../src/commands/settings.ts';
import { MIRROR } from '../../src/mirror-settings.ts';
import { CORE } from '../../src/settings.ts';
import { serveSchema } from '../../src/serve-settings.ts';
import type { Setting } from '../../src/settings/schema.ts';

/** `npm run docs`: writes the tables of docs/configuration.md, and the settings that the chart's schema knows, anew from the settings. */

const TABLES: Readonly<Record<string, string>> = {
  CORE: settingsTable(CORE),
  DEMO: settingsTable(DEMO),
  HEALTHCHECK: settingsTable(HEALTHCHECK),
  LOOKUP: settingsTable(LOOKUP),
  MIGRATE: settingsTable(MIGRATE),
  MIRROR: settingsTable(MIRROR),
};

export const CONFIGURATION = join(import.meta.dirname, '../../docs/configuration.md');

/** One section for each capability; what needs more words has a page of its own. */
const sections = CAPABILITIES.map(({ name, settings }) => `### \`${name}\`\n\n${settingsTable(settings)}\n\n`);

/** The page with its tables as the settings are now. */
export async function withTables(page: string): Promise<string> {
  const filled = page
    .replace(
      /(<!-- settings: (\w+)[^>]*-->\n)[^]*?(<!-- \/settings -->)/g,
      (_all, begin: string, name: string, end: string) => `${begin}\n${TABLES[name] ?? `no table ${name}`}\n\n${end}`,
    )
    .replace(
      /(<!-- capabilities [^>]*-->\n)[^]*?(<!-- \/capabilities -->)/,
      (_all, begin: string, end: string) => `${begin}\n${sections.join('')}${end}`,
    );
  return prettier.format(filled, { ...(await prettier.resolveConfig(CONFIGURATION)), parser: 'markdown' });
}

export const VALUES_SCHEMA = join(import.meta.dirname, '../../charts/podwhois/values.schema.json');

/** The schema of the chart's values with the names of the settings as they are now: a misspelt one would do nothing. */
export async function withSettings(schema: string): Promise<string> {
  const variables = (settings: Readonly<Record<string, Setting<unknown>>>): { readonly enum: readonly string[] } => ({
    enum: Object.values(settings).map(({ variable }) => variable),
  });
  const { properties, ...rest } = JSON.parse(schema) as {
    properties: {
      settings: { propertyNames: object };
      endpointMirror: { properties: { settings: { propertyNames: object } } };
    };
  };
  properties.settings.propertyNames = variables(serveSchema());
  properties.endpointMirror.properties.settings.propertyNames = variables(MIRROR);
  const filled = JSON.stringify({ ...rest, properties }, undefined, 2);
  return prettier.format(filled, { ...(await prettier.resolveConfig(VALUES_SCHEMA)), parser: 'json' });
}

if (import.meta.main) {
  writeFileSync(CONFIGURATION, await withTables(readFileSync(CONFIGURATION, 'utf8')));
  writeFileSync(VALUES_SCHEMA, await withSettings(readFileSync(VALUES_SCHEMA, 'utf8')));
}
