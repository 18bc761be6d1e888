import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog } from '../../../src/log.ts';
import { readSettings } from '../../../src/settings/schema.ts';
import { accessOf, tlsOf } from '../../../src/sinks/postgres/access.ts';
import { advice, failureOf } from '../../../src/sinks/postgres/advice.ts';
import { classify } from '../../../src/sinks/postgres/error-class.ts';
import { POSTGRES } from '../../../src/sinks/postgres/settings.ts';

const failed = (message: string, code?: string): Error & { readonly code: string | undefined } =>
  Object.assign(new Error(message), { code });

for (const [error, kind, names] of [
  [failed('The server does not support SSL connections'), 'setup', ['PGSSLMODE=disable', 'TLS', 'plain text']],
  [
    failed('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a non-empty string'),
    'setup',
    ['PGPASSWORD,', 'PGPASSWORD_FILE'],
  ],
  [failed('', 'ECONNREFUSED'), 'connection', ['PGHOST', 'PGPORT', 'DATABASE_URL']],
  [failed('getaddrinfo ENOTFOUND nowhere', 'ENOTFOUND'), 'connection', ['PGHOST', 'PGPORT', 'DATABASE_URL']],
  [failed('Connection terminated due to connection timeout'), 'connection', ['PGHOST', 'PGPORT', 'DATABASE_URL']],
  [failed('There was an error establishing an SSL connection'), 'connection', ['PGHOST', 'PGPORT', 'DATABASE_URL']],
  [failed('SASL authentication failed', '08P01'), 'connection', ['PGUSER', 'PGPASSWORD,', 'PGPASSWORD_FILE']],
  [failed('password authentication failed', '08P01'), 'connection', ['PGUSER', 'PGPASSWORD,', 'PGPASSWORD_FILE']],
  [failed('no such database: infra', '08P01'), 'connection', ['PGDATABASE', 'DATABASE_URL']],
  [failed('unacceptable schema name "pg_x"', '42939'), 'setup', ['PODWHOIS_SCHEMA']],
  [failed('self-signed certificate', 'DEPTH_ZERO_SELF_SIGNED_CERT'), 'connection', ['PGSSLROOTCERT']],
  [failed("Host: x. is not in the cert's", 'ERR_TLS_CERT_ALTNAME_INVALID'), 'connection', ['PGHOST']],
  [
    failed('password authentication failed for user "x"', '28P01'),
    'setup',
    ['PGUSER', 'PGPASSWORD,', 'PGPASSWORD_FILE', 'DATABASE_URL'],
  ],
  [failed('permission denied for database infra', '42501'), 'setup', ['"podwhois migrate" as a role that may create']],
  [failed('permission denied for table pods', '42501'), 'setup', ['docs/postgres.md', 'docs/endpoint-mirror.md']],
  [failed('relation "pods" does not exist', '42P01'), 'setup', ['"podwhois migrate"', 'docs/postgres.md']],
  [failed('there is no unique or exclusion constraint', '42P10'), 'setup', ['key', 'docs/endpoint-mirror.md']],
  [failed('column "ready" does not exist', '42703'), 'setup', ['column', 'docs/endpoint-mirror.md']],
  [failed('database "x" does not exist', '3D000'), 'setup', ['PGDATABASE']],
] as const) {
  test(`the advice about "${error.message}" (${error.code ?? 'no code'}) names ${names.join(' and ')}`, () => {
    assert.equal(classify(error), kind);
    for (const name of names) assert.ok(advice(error)?.includes(name), advice(error));
  });
}

test('what passes by itself, and what nobody knows, has no advice', () => {
  for (const error of [failed('deadlock detected', '40P01'), failed('Connection terminated'), undefined, null, 'x']) {
    assert.equal(advice(error), undefined);
  }
});

test('a file of PGPASSWORD_FILE or PGSSLROOTCERT that cannot be read is told by its setting, as what a person must put right', async () => {
  const environment = { PGPASSWORD_FILE: '/nope', PGSSLROOTCERT: '/nope' };
  const access = accessOf(readSettings(POSTGRES, { flags: {}, environment }));
  for (const [name, read] of [
    ['PGPASSWORD_FILE', async () => await access.password()],
    ['PGSSLROOTCERT', async () => await tlsOf(access)],
  ] as const) {
    await assert.rejects(read, (error: Error) => {
      assert.match(error.message, new RegExp(`^${name} \\(/nope\\) cannot be read: ENOENT`));
      assert.equal(classify(error), 'setup');
      return advice(error) === `see ${name}`;
    });
  }
});

test('the log has no stack of what a database or a network does, and one of what is our mistake', () => {
  const refused = new AggregateError([
    failed('connect ECONNREFUSED ::1:1'),
    failed('connect ECONNREFUSED 127.0.0.1:1'),
  ]);
  Object.assign(refused, { code: 'ECONNREFUSED' });
  let text = '';
  const log = createLog({ level: 'info', format: 'text' }, { write: (line) => (text += line) });
  for (const error of [refused, failed('permission denied for database x', '42501'), failed('Connection terminated')]) {
    log.error(failureOf(error), 'no');
  }
  const lines = text.trimEnd().split('\n');
  assert.equal(lines.length, 3, text);
  assert.match(lines[0] ?? '', /class=connection advice=".*PGHOST.*" error="connect ECONNREFUSED ::1:1; connect /);
  assert.match(lines[1] ?? '', /class=setup advice=".*migrate.*" error="permission denied for database x"/);
  log.error(failureOf(new TypeError('ours')), 'no');
  assert.match(text, /\n {4}at /);
});
