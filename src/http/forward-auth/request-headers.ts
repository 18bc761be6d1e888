import { bareLength, bareName, hasBareName } from './header-names.ts';
import { FORWARDING_HEADERS } from './presets.ts';
import type { Preset } from './presets.ts';

/** What the headers of a preflight say, whoever sent it: nothing of it is believed yet. */
export interface Heard {
  /** All lines of the header that names the client, in order, joined by commas; undefined: there is none. */
  client: string | undefined;
  host: string | undefined;
  method: string | undefined;
  uri: string | undefined;
  /** The first header that says that its sender speaks for somebody else (rule E8). */
  forwarding: string | undefined;
  /** Rule E5: a header that would be believed stands twice, or another looks like it, or like one that tells the back end who calls. */
  fault: string | undefined;
}

type Part = 'client' | 'host' | 'method' | 'uri';

interface WatchedHeader {
  readonly name: string;
  readonly bare: string;
  /** What it is believed to say; undefined: nothing. */
  readonly part: Part | undefined;
  readonly forwarding: boolean;
  /** A name that looks like this one is a fault. */
  readonly guarded: boolean;
}

/**
 * Reads raw headers (`rawHeaders`), made once for a preset. Not Node's `headers`: that keeps the first of two Host lines, and joins
 * two of any other, so that the second X-Forwarded-Uri would be the end of the first.
 *
 * `identity` are the headers that the proxy overwrites with what podwhois tells of the caller. It does so by their exact names, and passes
 * on what a back end may read as the same (GHSA-x677-9fxg-v5c5 of Traefik, GHSA-f59h-q822-g45g of Caddy).
 */
export function headerReader(
  preset: Preset,
  client: string,
  identity: readonly string[],
): (rawHeaders: readonly string[]) => Heard {
  const all = watchedFor(preset, client, identity);
  const watched = byBareLength(all);
  const spelt = bySpelling([preset.client, client, preset.host, preset.method, preset.uri], all);
  const isFirst = firstLetters(all);
  return (rawHeaders) => {
    const heard: Heard = {
      client: undefined,
      host: undefined,
      method: undefined,
      uri: undefined,
      forwarding: undefined,
      fault: undefined,
    };
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const name = rawHeaders[i] as string;
      // Most of a browser's headers begin otherwise.
      if (isFirst[name.charCodeAt(0)] === false) continue;
      const value = rawHeaders[i + 1] as string;
      const known = speltSo(spelt[name.length], name);
      if (known) {
        for (const one of known.watched) hear(heard, one, name, value, one.name === known.lower);
        continue;
      }
      const candidates = watched[bareLength(name)];
      if (candidates === undefined) continue;
      for (const one of candidates) {
        if (hasBareName(name, one.bare)) hear(heard, one, name, value, isSame(name, one.name));
      }
    }
    return heard;
  };
}

function hear(
  heard: Heard,
  { name: expected, part, forwarding, guarded }: WatchedHeader,
  name: string,
  value: string,
  isExpected: boolean,
): void {
  if (!isExpected) {
    if (guarded) heard.fault ??= `${name} looks like ${expected}`;
    return;
  }
  if (forwarding) heard.forwarding ??= name;
  if (part === undefined) return;
  if (heard[part] === undefined) heard[part] = value;
  else if (part === 'client') heard.client += `,${value}`;
  else heard.fault ??= `${name} stands twice`;
}

function watchedFor(preset: Preset, client: string, identity: readonly string[]): readonly WatchedHeader[] {
  const parts = new Map<string, Part>([[client.toLowerCase(), 'client']]);
  for (const part of ['host', 'method', 'uri'] as const) {
    const name = preset[part];
    if (name !== undefined) parts.set(name.toLowerCase(), part);
  }
  const forwarding = new Set([client, ...FORWARDING_HEADERS].map((name) => name.toLowerCase()));
  const told = new Set(identity.map((name) => name.toLowerCase()));
  return [...new Set([...parts.keys(), ...forwarding, ...told])].map((name) => ({
    name,
    bare: bareName(name),
    part: parts.get(name),
    forwarding: forwarding.has(name),
    guarded: parts.has(name) || told.has(name),
  }));
}

const isSame = (name: string, expected: string): boolean =>
  name.length === expected.length && name.toLowerCase() === expected;

/** A name as proxies spell it, and all that are watched which it is or looks like. */
interface Spelt {
  readonly spelling: string;
  readonly lower: string;
  readonly watched: readonly WatchedHeader[];
}

/** By their lengths: what nearly every preflight has is found without a look at each character. */
function bySpelling(
  names: readonly (string | undefined)[],
  all: readonly WatchedHeader[],
): readonly (readonly Spelt[] | undefined)[] {
  const spellings = new Set(names.flatMap((name) => (name === undefined ? [] : [name, name.toLowerCase()])));
  const table: Spelt[][] = [];
  for (const spelling of spellings) {
    const watched = all.filter(({ bare }) => hasBareName(spelling, bare));
    (table[spelling.length] ??= []).push({ spelling, lower: spelling.toLowerCase(), watched });
  }
  return Array.from(table);
}

function speltSo(all: readonly Spelt[] | undefined, name: string): Spelt | undefined {
  if (all !== undefined) for (const one of all) if (one.spelling === name) return one;
  return undefined;
}

/** By a name's first character, if that is a letter or a digit: whether one that is watched begins so. Other characters do not count. */
function firstLetters(all: readonly WatchedHeader[]): readonly (boolean | undefined)[] {
  const firsts = new Set(all.map(({ bare }) => bare.charAt(0)));
  return Array.from({ length: 0x80 }, (_, code) => {
    const bare = bareName(String.fromCharCode(code));
    return bare === '' ? undefined : firsts.has(bare);
  });
}

/** By the length of their bare names: few headers have the length of one of these. */
function byBareLength(all: readonly WatchedHeader[]): readonly (readonly WatchedHeader[] | undefined)[] {
  const table: WatchedHeader[][] = [];
  for (const one of all) (table[one.bare.length] ??= []).push(one);
  return Array.from(table);
}
