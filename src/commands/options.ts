import { Option } from '@commander-js/extra-typings';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { Given, Schema, Setting } from '../settings/schema.ts';

/**
 * Gives a command the flags of a table of settings, under a heading of their own in its help where one is given. Values stay text:
 * `readSettings` reads them, commander does not.
 */
export function addSettings(command: CommandUnknownOpts, schema: Schema, heading?: string): void {
  for (const setting of Object.values(schema)) {
    const option = new Option(setting.flag, describe(setting));
    if (heading !== undefined) option.helpGroup(heading);
    if (setting.repeatable) {
      option.argParser((value: string, before: string | undefined) =>
        before === undefined ? value : `${before},${value}`,
      );
    }
    command.addOption(option);
  }
}

const describe = ({ help, variable, fallbackText }: Setting<unknown>): string =>
  `${help} (env: ${variable}; default: ${fallbackText})`;

/** What was given for a table of settings, unread. `--partial` without a value says true. */
export function givenFor(command: CommandUnknownOpts, schema: Schema, environment: Given['environment']): Given {
  const options = command.opts() as Record<string, string | boolean | undefined>;
  const flags: Record<string, string | undefined> = {};
  for (const [key, setting] of Object.entries(schema)) {
    const value = options[new Option(setting.flag).attributeName()];
    if (value !== undefined) flags[key] = String(value);
  }
  return { flags, environment };
}
