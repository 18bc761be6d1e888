import { parseLabelSelector } from '../../label-selector.ts';
import type { LabelSelector } from '../../label-selector.ts';
import type { Pod } from '../../pod.ts';
import { oneLine } from '../../terminal.ts';
import {
  isName,
  isNamespace,
  NAMESPACE,
  NODE,
  parseServiceAccount,
  parseWorkload,
  SERVICE_ACCOUNT,
  WORKLOAD,
} from './names.ts';
import { belongsTo, namespaceMismatch, runsAs } from './peers.ts';
import type { Undecided } from './peers.ts';
import type { NamespaceLabels } from './verdict.ts';

/**
 * What the proxy's administrator asks of a caller in the preflight's own query: `namespace=a&namespace=b&label_selector=app%3Dweb`.
 * Each kind may be repeated, and any of its values will do; all kinds that are there must hold.
 */
export interface ConstraintSet {
  /** As it was sent, without the `?`; empty: there are none. */
  readonly query: string;
  /** What is wrong with it. Such a set denies everybody. */
  readonly error: string | undefined;
  readonly kinds: readonly Constraint[];
}

interface Constraint {
  readonly kind: ConstraintKind;
  /** Any of them. */
  readonly tests: readonly Test[];
}

type Test = (pod: Pod, namespaces: NamespaceLabels) => boolean | Undecided;

/** The kind that does not hold, or why that cannot be said. */
export type ConstraintMismatch = ConstraintKind | Undecided;

export type ConstraintKind = keyof typeof KINDS;

/** Reads a value; a text says what it must be. */
const KINDS = {
  namespace: (text: string): Test | string => (isNamespace(text) ? (pod) => pod.namespace === text : NAMESPACE),
  service_account(text: string): Test | string {
    const account = parseServiceAccount(text);
    return account ? (pod) => runsAs(pod, account) : SERVICE_ACCOUNT;
  },
  workload(text: string): Test | string {
    const workload = parseWorkload(text);
    return workload ? (pod) => belongsTo(pod, workload) : WORKLOAD;
  },
  node: (text: string): Test | string => (isName(text) ? (pod) => pod.nodeName === text : NODE),
  label_selector(text: string): Test | string {
    const selector = selectorOf(text);
    return typeof selector === 'string' ? selector : (pod) => selector.matches(pod.labels);
  },
  namespace_selector(text: string): Test | string {
    const selector = selectorOf(text);
    if (typeof selector === 'string') return selector;
    return (pod, namespaces) => {
      const why = namespaceMismatch(selector, pod.namespace, namespaces);
      return why === undefined || (why !== 'namespaceSelector' && why);
    };
  },
} as const;

function selectorOf(text: string): LabelSelector | string {
  const { selector, error } = parseLabelSelector(text);
  return selector ?? `a label selector (at character ${error.column}: ${error.message})`;
}

/** undefined: all hold. What does not hold for certain comes before what cannot be said. */
export function constraintMismatch(
  { kinds }: ConstraintSet,
  pod: Pod,
  namespaces: NamespaceLabels,
): ConstraintMismatch | undefined {
  let undecided: Undecided | undefined;
  for (const { kind, tests } of kinds) {
    const holds = anyOf(tests, pod, namespaces);
    if (holds === false) return kind;
    if (holds !== true) undecided ??= holds;
  }
  return undecided;
}

function anyOf(tests: readonly Test[], pod: Pod, namespaces: NamespaceLabels): boolean | Undecided {
  let undecided: Undecided | false = false;
  for (const test of tests) {
    const holds = test(pod, namespaces);
    if (holds === true) return true;
    if (holds !== false) undecided ||= holds;
  }
  return undecided;
}

const NONE: ConstraintSet = Object.freeze({ query: '', error: undefined, kinds: Object.freeze([]) });

/** Strict: what a proxy's administrator has mistyped must not make a constraint less. */
export function parseConstraints(query: string): ConstraintSet {
  const found = new Map<ConstraintKind, Test[]>();
  const wrong = (error: string): ConstraintSet => ({ query, error: oneLine(error), kinds: [] });
  if (query === '') return NONE;
  for (const part of query.split('&')) {
    const equals = part.indexOf('=');
    const kind = part.slice(0, Math.max(equals, 0));
    const value = decode(part.slice(equals + 1));
    if (!isKind(kind))
      return wrong(`${JSON.stringify(kind || part)} is no constraint; there are ${KIND_NAMES.join(', ')}`);
    if (value === undefined) return wrong(`${kind} is not percent-encoded UTF-8`);
    if (value.trim() === '') return wrong(`${kind} is empty`);
    const test = KINDS[kind](value);
    if (typeof test === 'string') return wrong(`${kind} is ${JSON.stringify(value)}: must be ${test}`);
    const tests = found.get(kind);
    if (tests) tests.push(test);
    else found.set(kind, [test]);
  }
  const kinds = [...found].map(([kind, tests]) => ({ kind, tests }));
  return { query, error: undefined, kinds };
}

const KIND_NAMES = Object.keys(KINDS) as readonly ConstraintKind[];

const isKind = (text: string): text is ConstraintKind => (KIND_NAMES as readonly string[]).includes(text);

/** As forms are encoded: `+` is a space. */
function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

/** Characters, an entry counted as some more: far more than a proxy's configuration has. `label_selector=a,a,…` takes 34 bytes for each: 3.4 MB. */
const ROOM = 100_000;
const ENTRY = 250;

/**
 * Read once for each query. Anybody can send queries, so the cache is bounded; the oldest goes, which costs the next who asks for
 * it some microseconds.
 */
export class QueryConstraints {
  readonly #sets = new Map<string, ConstraintSet>();
  #left = ROOM;

  of(query: string): ConstraintSet {
    if (query === '') return NONE;
    const known = this.#sets.get(query);
    if (known) return known;
    // A text of its own: the query is a slice, and would hold the whole URL.
    const set = parseConstraints(Buffer.from(query).toString());
    this.#left -= query.length + ENTRY;
    for (const oldest of this.#sets.keys()) {
      if (this.#left >= 0) break;
      this.#sets.delete(oldest);
      this.#left += oldest.length + ENTRY;
    }
    this.#sets.set(set.query, set);
    return set;
  }
}
