import type { StringMap } from './pod.ts';

/**
 * Label selectors exactly as Kubernetes reads them (apimachinery, labels.Parse): `a=b`, `a==b`, `a!=b`, `a in (b,c)`,
 * `a notin (b,c)`, `a`, `!a`, `a>1`, `a<1`, joined by commas, all of which must hold. The empty selector selects everything.
 * Takes time linear in the text, and in the requirements when matching.
 */
export interface LabelSelector {
  /** How many there are. */
  readonly requirements: number;
  matches(labels: StringMap): boolean;
}

/** What is wrong, and the column (from 1) where it was noticed. */
export interface SelectorError {
  readonly message: string;
  readonly column: number;
}

export type ParsedSelector =
  | { readonly selector: LabelSelector; readonly error?: undefined }
  | { readonly error: SelectorError; readonly selector?: undefined };

export function parseLabelSelector(text: string): ParsedSelector {
  try {
    const requirements = new Parser(scan(text)).requirements();
    const matches = (labels: StringMap): boolean => requirements.every((requirement) => requirement(labels));
    return { selector: { requirements: requirements.length, matches } };
  } catch (error) {
    if (error instanceof Wrong) return { error: { message: error.message, column: error.column } };
    throw error;
  }
}

type Requirement = (labels: StringMap) => boolean;

class Wrong extends Error {
  readonly column: number;
  constructor(message: string, column: number) {
    super(message);
    this.column = column;
  }
}

interface Token {
  /** '' is the end, 'word' a key, a value or an operator in letters; else the operator or sign itself. */
  readonly sign: '' | 'word' | '!' | '!=' | '=' | '==' | '(' | ')' | ',' | '>' | '<';
  readonly text: string;
  readonly column: number;
}

// A sign is the longest that fits; a word is everything up to a sign or white space, whatever it holds: it is judged later.
const TOKEN = /[ \t\r\n]*(?:(!=|==|[!=(),<>])|([^ \t\r\n!=(),<>]+))?/y;

function scan(text: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  for (;;) {
    const [, sign, word] = TOKEN.exec(text) ?? [];
    const found = sign ?? word ?? '';
    const column = TOKEN.lastIndex - found.length + 1;
    tokens.push({ sign: (sign ?? (word === undefined ? '' : 'word')) as Token['sign'], text: found, column });
    if (found === '') return tokens;
  }
}

class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  requirements(): Requirement[] {
    const all: Requirement[] = [];
    if (this.#peek.sign === '') return all;
    for (;;) {
      all.push(this.#requirement());
      const after = this.#take();
      if (after.sign === '') return all;
      if (after.sign !== ',') throw unexpected(after, '"," or the end');
    }
  }

  #requirement(): Requirement {
    const absent = this.#peek.sign === '!';
    if (absent) this.#next++;
    const key = this.#key();
    const { sign } = this.#peek;
    if (absent) return (labels) => !Object.hasOwn(labels, key);
    if (sign === ',' || sign === '') return (labels) => Object.hasOwn(labels, key);
    const operator = this.#take();
    const { sign: how, text } = operator;
    if (how === '=' || how === '==') return equals(key, this.#value());
    if (how === '!=') return not(equals(key, this.#value()));
    if (how === '>' || how === '<') return compares(key, how, this.#integer());
    if (how === 'word' && text === 'in') return within(key, this.#values());
    if (how === 'word' && text === 'notin') return not(within(key, this.#values()));
    throw unexpected(operator, 'one of =, ==, !=, in, notin, >, <');
  }

  #key(): string {
    const token = this.#take();
    if (token.sign !== 'word') throw unexpected(token, 'a label key');
    if (!isLabelKey(token.text)) throw new Wrong(`${quoted(token.text)} is not a label key`, token.column);
    return token.text;
  }

  /** After an operator: a word, or nothing, which is the empty value. */
  #value(): string {
    const { sign } = this.#peek;
    if (sign === ',' || sign === '') return '';
    return this.#labelValue();
  }

  #labelValue(): string {
    const token = this.#take();
    if (token.sign !== 'word') throw unexpected(token, 'a label value');
    if (!isLabelValue(token.text)) throw new Wrong(`${quoted(token.text)} is not a label value`, token.column);
    return token.text;
  }

  #integer(): bigint {
    const token = this.#peek;
    const integer = parseInteger(this.#value());
    if (integer === undefined) throw new Wrong(`${quoted(token.text)} is not an integer`, token.column);
    return integer;
  }

  /** `(a,b)`; between two commas or beside a bracket stands the empty value, as in Kubernetes. */
  #values(): Set<string> {
    const open = this.#take();
    if (open.sign !== '(') throw unexpected(open, '"("');
    const values = new Set<string>();
    for (;;) {
      values.add(this.#peek.sign === ',' || this.#peek.sign === ')' ? '' : this.#labelValue());
      const after = this.#take();
      if (after.sign === ')') return values;
      if (after.sign !== ',') throw unexpected(after, '"," or ")"');
    }
  }

  /** The end stays at the end: it can be taken any number of times. */
  get #peek(): Token {
    return this.#tokens[Math.min(this.#next, this.#tokens.length - 1)] as Token;
  }

  #take(): Token {
    const token = this.#peek;
    this.#next++;
    return token;
  }
}

function unexpected({ text, column }: Token, expected: string): Wrong {
  return new Wrong(`found ${text === '' ? 'the end' : quoted(text)}, expected ${expected}`, column);
}

const quoted = (text: string): string => JSON.stringify(text.length > 70 ? `${text.slice(0, 70)}…` : text);

const equals = (key: string, value: string): Requirement => {
  return (labels) => Object.hasOwn(labels, key) && labels[key] === value;
};

const within = (key: string, values: ReadonlySet<string>): Requirement => {
  return (labels) => Object.hasOwn(labels, key) && values.has(labels[key] ?? '');
};

const not = (requirement: Requirement): Requirement => {
  return (labels) => !requirement(labels);
};

const compares = (key: string, sign: '>' | '<', than: bigint): Requirement => {
  return (labels) => {
    const own = Object.hasOwn(labels, key) ? parseInteger(labels[key] ?? '') : undefined;
    return own !== undefined && (sign === '>' ? own > than : own < than);
  };
};

/** An int64 as Go's strconv.ParseInt reads it. */
function parseInteger(text: string): bigint | undefined {
  if (!/^[+-]?[0-9]{1,63}$/.test(text)) return undefined;
  const integer = BigInt(text.startsWith('+') ? text.slice(1) : text);
  return BigInt.asIntN(64, integer) === integer ? integer : undefined;
}

// apimachinery, util/validation: IsQualifiedName, IsDNS1123Subdomain, IsValidLabelValue. Lengths first: the rest then is short.
const NAME = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;

/** `name` or `prefix/name`: at most 63 characters, the prefix a DNS name of at most 253. */
export function isLabelKey(text: string): boolean {
  const slash = text.indexOf('/');
  const name = text.slice(slash + 1);
  if (name.length > 63 || !NAME.test(name)) return false;
  return slash < 0 || (slash <= 253 && DNS_SUBDOMAIN.test(text.slice(0, slash)));
}

/** Empty, or at most 63 characters that begin and end with a letter or digit. */
export function isLabelValue(text: string): boolean {
  return text === '' || (text.length <= 63 && NAME.test(text));
}
