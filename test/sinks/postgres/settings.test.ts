import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { changedSettings } from '../../../src/settings/changed.ts';
import { readSettings, SettingsError } from '../../../src/settings/schema.ts';
import { accessOf } from '../../../src/sinks/postgres/access.ts';
import { Database, TIME_LIMITS } from '../../../src/sinks/postgres/database.ts';
import { POSTGRES, POSTGRES_CHECKS } from '../../../src/sinks/postgres/settings.ts';
import type { PostgresSettings } from '../../../src/sinks/postgres/settings.ts';
import { selfSigned, temporaryDirectory } from '../../support/test-certificates.ts';

const read = (environment: Readonly<Record<string, string>>): PostgresSettings =>
  readSettings(POSTGRES, { flags: {}, environment }, POSTGRES_CHECKS);

function problems(environment: Readonly<Record<string, string>>): string {
  try {
    read(environment);
  } catch (error) {
    assert.ok(error instanceof SettingsError);
    return error.problems.join('\n');
  }
  return '';
}

test('the variables of libpq say where Postgres is, and what DATABASE_URL says wins over them', () => {
  const variables = { PGHOST: 'a', PGPORT: '1', PGUSER: 'b', PGDATABASE: 'c', PGSSLMODE: 'disable' };
  assert.equal(accessOf(read(variables)).place, 'b@a:1/c');
  const access = accessOf(read({ ...variables, DATABASE_URL: 'postgresql://u%40x@[fd00::1]/d?sslmode=require' }));
  assert.deepEqual([access.user, access.host, access.port, access.database], ['u@x', 'fd00::1', 1, 'd']);
  assert.equal(access.sslMode, 'require');
});

test('a password is asked for with every connection, and is in no message and no log', async () => {
  assert.equal(await accessOf(read({ DATABASE_URL: 'postgres://u:p%2Fq@h' })).password(), 'p/q');
  assert.equal(await accessOf(read({ PGPASSWORD: 'hunter2' })).password(), 'hunter2');
  const settings = read({ DATABASE_URL: 'postgres://u:hunter2@h', PGPASSWORD: 'hunter2' });
  assert.ok(!JSON.stringify(changedSettings(POSTGRES, settings)).includes('hunter2'));
  for (const url of [
    'postgres://u:hunter2@h?x=1',
    'mysql://u:hunter2@h',
    'postgres://u:hunter2@h:99999',
    'postgres://u:hunter2@one,two/d',
    'postgres://u:12/hunter2@h/d',
    'postgres://u%00:hunter2@h/d',
    'postgres://u:hunter2@h/d%0a',
    'postgres://u:hunter2%00@h/d',
    'postgres://u:hunter2@h:0/d',
  ]) {
    assert.match(problems({ DATABASE_URL: url }), /DATABASE_URL .* has a value that is not shown here/, url);
    assert.ok(!problems({ DATABASE_URL: url }).includes('hunter2'));
  }
});

test('modes of TLS that fall back to plain text are refused with the reason, and what cannot be verified is told', () => {
  for (const mode of ['allow', 'prefer'])
    assert.match(problems({ PGSSLMODE: mode }), /one of disable, require, verify-ca, verify-full: .*plain text/);
  assert.match(
    problems({ DATABASE_URL: 'postgres://h?sslmode=prefer' }),
    /sslmode is one of disable, require.*plain text/,
  );
  for (const mode of ['verify-ca', 'verify-full']) assert.match(problems({ PGSSLMODE: mode }), /PGSSLROOTCERT/);
  assert.match(problems({ PGSSLMODE: 'verify-ca', PGSSLROOTCERT: 'system' }), /verify-full/);
  assert.equal(problems({ PGSSLMODE: 'verify-full', PGSSLROOTCERT: 'system' }), '');
  assert.equal(read({}).pgSslMode, 'require');
  // What would be refused is not offered.
  assert.match(problems({ PGSSLMODE: 'yes' }), /must be one of disable, require, verify-ca, verify-full, for example/);
});

test('names that SQL would need quotes for are refused', () => {
  for (const name of ['Podwhois', 'a b', 'a;drop', 'a"b', '1a', 'ä', 'a'.repeat(64)]) {
    assert.match(problems({ PODWHOIS_SCHEMA: name }), /PODWHOIS_SCHEMA/, name);
  }
});

/** Says yes to TLS, as Postgres does, and to nothing else; tells whether a client went on after the handshake. */
async function tlsServer(
  t: TestContext,
  cert: string,
  key: string,
  address: string,
): Promise<{ port: number; greeted: () => boolean }> {
  let greeted = false;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write('S');
      const tls = new TLSSocket(socket, { isServer: true, cert, key });
      tls.on('error', () => {});
      tls.once('data', () => {
        greeted = true;
        socket.destroy();
      });
    });
  }).listen(0, address);
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, greeted: () => greeted };
}

test('each mode of TLS believes the certificates that libpq believes', async (t) => {
  const dir = temporaryDirectory(t);
  const own = selfSigned(t);
  const other = selfSigned(t, 'other');
  const [ca, wrongCa] = [join(dir, 'ca.pem'), join(dir, 'other.pem')];
  writeFileSync(ca, own.cert);
  writeFileSync(wrongCa, other.cert);
  const cases: readonly (readonly [string, string | undefined, string, boolean])[] = [
    ['require', undefined, '127.0.0.1', true],
    ['require', wrongCa, '127.0.0.1', false], // as libpq: with an authority at hand it is verify-ca
    ['verify-ca', ca, '127.0.0.2', true],
    ['verify-ca', wrongCa, '127.0.0.1', false],
    ['verify-full', ca, '127.0.0.1', true],
    ['verify-full', ca, 'localhost', true],
    ['verify-full', ca, '127.0.0.2', false], // the certificate is not about this address
    ['verify-full', 'system', '127.0.0.1', false],
  ];
  for (const [mode, root, host, believed] of cases) {
    const { port, greeted } = await tlsServer(t, own.cert, own.key, host === '127.0.0.2' ? host : '127.0.0.1');
    const environment = { PGHOST: host, PGPORT: String(port), PGSSLMODE: mode };
    const access = accessOf(read({ ...environment, ...(root !== undefined && { PGSSLROOTCERT: root }) }));
    const silent = { info: () => {}, warn: () => {}, error: () => {} };
    const database = new Database({ access, poolSize: 1, log: silent, limits: TIME_LIMITS });
    await assert.rejects(database.transaction(async (session) => await session.query('SELECT 1')));
    await database.close();
    assert.equal(greeted(), believed, `${mode} with ${root} to ${host}`);
  }
});
