import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Wrong } from '../../../src/settings/schema.ts';
import { tableName } from '../../../src/sinks/endpoint-mirror/table-name.ts';

const read = (text: string): readonly [string | undefined, string] | 'wrong' => {
  const name = tableName(text);
  return name instanceof Wrong ? 'wrong' : [name.schema, name.name];
};

test('a table, in a schema or in the one that the search path finds', () => {
  assert.deepEqual(read('public.server'), ['public', 'server']);
  assert.deepEqual(read('server'), [undefined, 'server']);
  assert.deepEqual(read('_a9._'), ['_a9', '_']);
  assert.deepEqual(read('a'.repeat(63)), [undefined, 'a'.repeat(63)]);
});

test('without quotes upper case is lower case, as Postgres reads it; in quotes it would be another table', () => {
  assert.deepEqual(read('Public.SERVER'), ['public', 'server']);
  assert.deepEqual(read('"public"."server"'), ['public', 'server']);
  assert.deepEqual(read('public."server"'), ['public', 'server']);
  assert.deepEqual(read('"Server"'), 'wrong');
  assert.deepEqual(read('"Public".server'), 'wrong');
});

test('a word of SQL is a name like others, for it is quoted', () =>
  assert.deepEqual(read('user'), [undefined, 'user']));

test('nothing else is', () => {
  const wrong = [
    '.',
    'public.',
    '.server',
    'a.b.c',
    'public..server',
    'public server',
    'public . server',
    'public.server;',
    'server; drop table server',
    'server--',
    "server'",
    '"server',
    'server"',
    '"a""b"',
    '"a.b"',
    '""',
    '"public"server',
    'public."server".',
    '9lives',
    'sérver',
    'a$b',
    '\u017ferver', // whose upper case is S
    '\u212a', // the Kelvin sign, whose lower case is k
    'a\u0000b',
    'a\nb',
    'a'.repeat(64),
  ];
  for (const text of wrong) assert.equal(read(text), 'wrong', JSON.stringify(text));
});
