/**
 * THE list of optional capabilities. Two lines each: one imports what its folder says of itself, one lists it:
 *
 *     import { forwardAuth } from …/http/forward-auth/settings.ts
 *     export const CAPABILITIES: readonly Capability[] = [forwardAuth];
 *
 * Deleting a capability's folder, its two lines here, its tests and its chart file leaves everything else green. None is there yet,
 * and so nothing runs them yet: the first one brings, in commands/serve.ts, the loop that does.
 */
import type { Schema, Values } from './settings/schema.ts';

/**
 * What a capability's `settings.ts` exports. It holds nothing but this, the schema and its checks: it is always loaded, so that
 * flags, `--help` and the documentation know the settings while the capability is off.
 */
export interface Capability<S extends Schema = Schema> {
  /** As its folder is called. */
  readonly name: string;
  readonly settings: S;
  /** Off unless one of its settings says otherwise. */
  isOn(settings: Values<S>): boolean;
  /** Imports the one file that plugs it in; only called when it is on. */
  load(): Promise<unknown>;
}

export const CAPABILITIES: readonly Capability[] = [];
