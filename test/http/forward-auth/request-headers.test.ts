import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { FORWARDING_HEADERS, PRESET_NAMES, presetOf } from '../../../src/http/forward-auth/presets.ts';
import { headerReader } from '../../../src/http/forward-auth/request-headers.ts';
import type { Heard } from '../../../src/http/forward-auth/request-headers.ts';

/** The last one reads like another that is believed. */
const CLIENTS = ['X-Caller', 'x-real-ip', 'Forwarded-For', 'XForwarded-Host'];
const IDENTITY = ['X-Pod-Name', 'X-Pod-Namespace', 'X-Pod-Uid'];

/** The same, one sentence after the other. */
function naively(preset: (typeof PRESET_NAMES)[number], client: string, headers: readonly [string, string][]): Heard {
  const { host, method, uri } = presetOf(preset);
  const believed = Object.entries({ client, host, method, uri }).flatMap(([part, name]) =>
    name ? [{ part, name }] : [],
  );
  const guarded = [...believed.map(({ name }) => name), ...IDENTITY];
  const lower = (name: string): string => name.toLowerCase();
  const bare = (name: string): string => lower(name).replace(/[^a-z0-9]/g, '');
  const faults = headers.flatMap(([name], i) => {
    const like = guarded.filter((one) => bare(one) === bare(name) && lower(one) !== lower(name));
    const earlier = headers.slice(0, i).some(([other]) => lower(other) === lower(name));
    const once = believed.some((one) => lower(one.name) === lower(name) && one.part !== 'client');
    return like.length > 0 || (earlier && once) ? [name] : [];
  });
  const speaks = [client, ...FORWARDING_HEADERS].map(lower);
  const of = (part: string): string[] => {
    const name = believed.find((one) => one.part === part)?.name ?? '';
    return headers.filter(([other]) => lower(other) === lower(name)).map(([, value]) => value);
  };
  return {
    client: of('client').length === 0 ? undefined : of('client').join(','),
    host: of('host')[0],
    method: of('method')[0],
    uri: of('uri')[0],
    forwarding: headers.find(([name]) => speaks.includes(lower(name)))?.[0],
    fault: faults[0],
  };
}

const NAMES = [
  ...new Set(PRESET_NAMES.flatMap((name) => Object.values(presetOf(name)))),
  ...FORWARDING_HEADERS,
  ...IDENTITY,
]
  .filter((name) => typeof name === 'string')
  .concat(...CLIENTS, 'Accept', 'User-Agent', 'X-Forwarded-Proto', 'Xa', 'Connection');

/** As it is, in another case, with other separators, with some more or one letter less. */
const SPELLINGS: readonly ((name: string) => string)[] = [
  (name) => name,
  (name) => name,
  (name) => name.toLowerCase(),
  (name) => name.toUpperCase(),
  (name) => name.replaceAll('-', '_'),
  (name) => name.replaceAll('-', ''),
  (name) => `_${name}`,
  (name) => `${name}.`,
  (name) => name.slice(1),
];
const spelt = fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom(...SPELLINGS)).map(([name, spell]) => spell(name));

test('E5 E8 what the headers say is what a naive reader hears, however they are spelt', () => {
  const headers = fc.array(fc.tuple(spelt, fc.constantFrom('1', '2', '')), { maxLength: 5 });
  const client = fc.constantFrom(undefined, ...CLIENTS);
  fc.assert(
    fc.property(fc.constantFrom(...PRESET_NAMES), client, headers, (name, own, lines) => {
      const preset = presetOf(name);
      const header = own ?? preset.client;
      const heard = headerReader(preset, header, IDENTITY)(lines.flat());
      const expected = naively(name, header, lines);
      assert.deepEqual({ ...heard, fault: heard.fault?.split(' ')[0] }, expected);
    }),
    { numRuns: 5000 },
  );
});
