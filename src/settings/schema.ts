import { oneLine } from '../terminal.ts';

/**
 * One table of settings makes the flags, the environment, `--help` and the documentation. The core's table is ../settings.ts;
 * a capability's stands in its own folder and has the same shape.
 */
export interface Setting<T> {
  /** The environment variable. */
  readonly variable: string;
  /** As commander wants it: `--port <number>`, a boolean as `--partial [bool]`, a second name after the first: `--table, --table-name <name>`. */
  readonly flag: string;
  /** A sentence fragment for the help. */
  readonly help: string;
  readonly fallback: T;
  /** The default as the help and the documentation write it. */
  readonly fallbackText: string;
  /** A value that is right, for the message about one that is wrong. */
  readonly example: string;
  /** Given the text without surrounding white space, never empty. */
  readonly parse: (text: string) => T | Wrong;
  /** The flag may be given again; the values are joined by commas. */
  readonly repeatable?: boolean;
  /** The value never appears in a message or a log. */
  readonly secret?: boolean;
}

/** Keeps the value's type while a table is written. */
export const setting = <T>(definition: Setting<T>): Setting<T> => definition;

/** What a parser returns instead of a value: what would have been right, as in "must be …". */
export class Wrong {
  readonly expected: string;
  constructor(expected: string) {
    this.expected = expected;
  }
}

export type Schema = Readonly<Record<string, Setting<unknown>>>;

export type Values<S extends Schema> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never };

export interface Given {
  /** By the setting's key; undefined when the flag was not given. */
  readonly flags: Readonly<Record<string, string | undefined>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** A rule over several settings. A setting that is wrong by itself is undefined here. */
export type Check<S extends Schema> = (
  values: Partial<Values<S>>,
) => readonly { readonly key: keyof S & string; readonly expected: string }[];

/** Every setting that is wrong, one line each. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    const count = problems.length === 1 ? 'A setting is' : `${problems.length} settings are`;
    super(`${count} wrong:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

/** `--port <number>` → `--port`; of two names the first. */
export const flagName = (setting: Setting<unknown>): string => /--[a-z-]+/.exec(setting.flag)?.[0] ?? setting.flag;

/**
 * Reads all settings once. A flag wins over its variable. An empty variable counts as unset; an empty flag asks for the default.
 * Throws `SettingsError` with everything that is wrong. The result is frozen, its lists too.
 */
export function readSettings<S extends Schema>(schema: S, given: Given, checks: readonly Check<S>[] = []): Values<S> {
  const values: Record<string, unknown> = {};
  const problems: string[] = [];
  const complain = (key: string, expected: string): void => {
    const setting = schema[key];
    if (setting) problems.push(problem(setting, given.flags[key], given.environment[setting.variable], expected));
  };
  for (const [key, setting] of Object.entries(schema)) {
    const text = (given.flags[key] ?? given.environment[setting.variable] ?? '').trim();
    const value = text === '' ? setting.fallback : read(setting, text);
    if (value instanceof Wrong) complain(key, `${value.expected}, for example ${setting.example}`);
    else values[key] = Array.isArray(value) ? Object.freeze(value) : value;
  }
  for (const check of checks) {
    for (const { key, expected } of check(values as Partial<Values<S>>)) complain(key, expected);
  }
  if (problems.length > 0) throw new SettingsError(problems);
  return Object.freeze(values) as Values<S>;
}

/** Longer than any right value: a list of namespaces or networks as long as Linux lets one argument be is not meant. */
const MAX_TEXT = 32_768;

function read(setting: Setting<unknown>, text: string): unknown {
  // Kubernetes puts tcp://… into the environment for every Service of the namespace, as Docker links did.
  if (/^(tcp|udp|sctp):\/\//i.test(text)) {
    return new Wrong(
      `not a Service's address: Kubernetes or Docker injected it, so set "enableServiceLinks: false" on the pod, or set ${setting.variable} yourself`,
    );
  }
  return text.length > MAX_TEXT ? new Wrong(`at most ${MAX_TEXT} characters`) : setting.parse(text);
}

function problem(
  setting: Setting<unknown>,
  flag: string | undefined,
  variable: string | undefined,
  expected: string,
): string {
  const [name, other, text] =
    flag === undefined ? [setting.variable, flagName(setting), variable] : [flagName(setting), setting.variable, flag];
  const unset = `is not set (default: ${setting.fallbackText})`;
  const given = setting.secret ? 'has a value that is not shown here' : `is ${show(text ?? '')}`;
  const shown = text === undefined || text.trim() === '' ? unset : given;
  return `${name} (or ${other}) ${shown}: must be ${expected}`;
}

/** The value in quotes on one line. Whatever stands before an @ in a URL may be a password. */
function show(text: string): string {
  const harmless = text.replace(/:\/\/.*@/gs, '://***@');
  return `"${oneLine(harmless, 60)}"`;
}
