import type { Context, NamespaceSource } from './capabilities.ts';
import type { SliceDetail } from './slices.ts';

/** The one watch of namespaces that all capabilities share: begun when the first of them asks, and never when none does. */
export class NamespacesOnDemand {
  readonly #start: () => NamespaceSource;
  /** The capabilities whose answers need the labels so much that `/ready` must say so. */
  readonly #counting = new Set<string>();
  #source: NamespaceSource | undefined;

  constructor(start: () => NamespaceSource) {
    this.#start = start;
  }

  /** As one capability asks for it. */
  for(capability: string): Context['namespaces'] {
    return ({ countForReady } = {}) => {
      if (countForReady === true) this.#counting.add(capability);
      if (countForReady === false) this.#counting.delete(capability);
      return (this.#source ??= this.#start());
    };
  }

  /** For `/ready`, while they are watched. */
  get details(): readonly (SliceDetail & { readonly needed: boolean })[] {
    const needed = this.#counting.size > 0;
    return (this.#source?.details() ?? []).map((detail) => ({ ...detail, needed }));
  }
}
