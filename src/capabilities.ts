/**
 * THE list of optional capabilities. Two lines each: one imports what its folder says of itself, one lists it:
 *
 *     import { forwardAuth } from './http/forward-auth/settings.ts';
 *     export const CAPABILITIES: readonly Capability[] = [capability(forwardAuth)];
 *
 * Deleting a capability's folder, its two lines here, its tests and its chart file leaves everything else green.
 * commands/serve.ts loads what is on, service.ts plugs it in.
 */
import type { Readable } from 'node:stream';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { forwardAuth } from './http/forward-auth/settings.ts';
import type { Remark } from './http/context.ts';
import type { HttpPlug } from './http/plug.ts';
import type { View } from './index/answer.ts';
import type { PodIndex } from './index/pod-index.ts';
import type { IpRecorder } from './ip-recorder.ts';
import type { Archive } from './joined-past.ts';
import type { Clock } from './kubernetes/clock.ts';
import type { Log } from './log.ts';
import type { Families, Metrics } from './metrics.ts';
import type { CORE, Settings } from './settings.ts';
import type { Check, Schema, Values } from './settings/schema.ts';
import { snapshot } from './sinks/snapshot/settings.ts';
import type { SliceDetail, Slices } from './slices.ts';

/**
 * What a capability's `settings.ts` exports. It holds nothing but this, the schema and its checks: it is always loaded, so that
 * flags, `--help` and the documentation know the settings while the capability is off. It fits this by its shape, for rooms do not
 * import this file.
 */
export interface Definition<S extends Schema> {
  /** As its folder is called. */
  readonly name: string;
  /** Keys, variables and flags are none of the core's or of another capability. */
  readonly settings: S;
  /** Rules over its own values and the core's, told together with all other wrong settings; asked whether it is on or not. */
  readonly checks?: readonly Check<S & typeof CORE>[];
  /** What it publishes at `/metrics`, by name. */
  readonly metrics?: Families;
  /** Off unless its settings say otherwise. */
  isOn(settings: Values<S>): boolean;
  /** Sentences for the log at start; asked whether it is on or not. */
  warnings?(settings: Values<S> & Settings): readonly string[];
  /** Adds its commands to the command line, on or not. What they do is loaded when they run. */
  addCommands?(program: CommandUnknownOpts, edge: CommandEdge, exit: (code: number) => void): void;
  /** Imports the one file that plugs it in; only called when it is on. */
  readonly load: () => Promise<Pluggable<Values<S>>>;
}

/** What the process is to a command, so that a test can be one. */
export interface Edge {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stdin: Readable;
  /** Standard output; nothing is thrown when its reader has gone. */
  readonly write: (text: string) => void;
  /** Standard error. */
  readonly complain: (text: string) => void;
}

/** What a capability's command has besides. */
export interface CommandEdge extends Edge {
  readonly running: RunningPodwhois;
}

/** How a command asks a running podwhois. */
export interface RunningPodwhois {
  /** Gives the command the flags that say where it is. */
  addSettings(command: CommandUnknownOpts): void;
  /** GET of a path without its first slash. Throws `LookupError`, which says what to change, unless the answer is 200 with such a body. */
  get<T>(command: CommandUnknownOpts, path: string, isAnswer: (body: unknown) => body is T): Promise<T>;
}

export interface Pluggable<Own> {
  readonly plug: (context: Context<Own>) => Plugged | Promise<Plugged>;
}

/** What a capability is given when the service starts. */
export interface Context<Own = unknown> {
  /** The core's and its own, frozen. */
  readonly settings: Settings & Own;
  readonly index: PodIndex;
  /** What is written down in memory of who had which address. */
  readonly recorder: IpRecorder;
  readonly view: View;
  /** How fresh the pods are. */
  readonly source: Slices;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /**
   * The labels of all namespaces; the first call begins to watch them. `/ready` counts them while the last `countForReady` that
   * this capability gave is true. No lookup depends on them.
   */
  readonly namespaces: (options?: { readonly countForReady?: boolean }) => NamespaceSource;
}

export interface NamespaceSource {
  /** Why nothing can be said of them now; undefined when it can. */
  readonly refusal: 'not_synced' | 'stale' | undefined;
  /** undefined: there is no such namespace, or it is not known yet. */
  labelsOf(namespace: string): Readonly<Record<string, string>> | undefined;
  /** For `/ready`. */
  details(): readonly SliceDetail[];
}

/** A capability that is part of the running service. */
export interface Plugged {
  readonly http?: HttpPlug;
  /** Where who had an address is kept for longer than in memory; of several the first one is asked. */
  readonly archive?: Archive;
  /** What `/ready?verbose` says of it. */
  remarks?(): readonly Remark[];
  /** Called once, after the server has stopped; the last one plugged in comes first. */
  close?(): Promise<void> | void;
}

export type Capability = Definition<Schema>;

/** A definition is checked by its own types here, and listed without them. */
export const capability = <S extends Schema>(definition: Definition<S>): Capability =>
  definition as unknown as Capability;

export const CAPABILITIES: readonly Capability[] = [capability(forwardAuth), capability(snapshot)];

/** What is on, ready to be plugged in. */
export interface Loaded extends Pluggable<unknown> {
  readonly name: string;
}

/** Loads what the settings turn on; the rest is not even imported. */
export async function loadCapabilities(
  capabilities: readonly Capability[],
  settings: Settings,
): Promise<readonly Loaded[]> {
  const on = capabilities.filter((one) => one.isOn({ ...settings }));
  return await Promise.all(on.map(async ({ name, load }) => ({ name, plug: (await load()).plug as Loaded['plug'] })));
}
