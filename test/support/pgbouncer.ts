import { chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { connect } from 'node:net';
import { once } from 'node:events';
import { startChild } from './child-process.ts';
import { freePorts } from './free-ports.ts';
import { until } from './until.ts';
import { asNobody, NOBODY } from './real-postgres.ts';
import type { RealPostgres } from './real-postgres.ts';

const BINARY = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer', '/usr/local/bin/pgbouncer'].find((path) =>
  existsSync(path),
);

/** For a test's options: PgBouncer is Debian's package; where it is missing the skip is visible, and in CI a failure. */
export function withPgBouncer(): { readonly skip: string | false } {
  if (BINARY !== undefined) return { skip: false };
  const how = 'there is no pgbouncer: run apt-get install pgbouncer';
  if (process.env['CI'] === 'true') throw new Error(`In CI the real servers must be there: ${how}`);
  return { skip: how };
}

/** A PgBouncer before Postgres that pools by transaction, with fewer connections than it is asked for. */
export async function startPgBouncer(postgres: RealPostgres): Promise<{ port: number; stop(): Promise<void> }> {
  const [port = 0] = await freePorts(1);
  const dir = mkdtempSync(join(tmpdir(), 'podwhois-pgbouncer-'));
  const [config, users] = [join(dir, 'pgbouncer.ini'), join(dir, 'users.txt')];
  writeFileSync(users, `"postgres" "${postgres.password}"\n`);
  writeFileSync(
    config,
    `[databases]
* = host=127.0.0.1 port=${postgres.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
pool_mode = transaction
default_pool_size = 2
`,
  );
  if (process.getuid?.() === 0) for (const path of [dir, config, users]) chownSync(path, NOBODY, NOBODY);
  const [file, args] = asNobody(BINARY ?? '', [config]);
  const child = startChild({ name: 'pgbouncer', file, args, logFile: join(dir, 'log') });
  await until('PgBouncer listens', async () => {
    if (child.ended !== undefined) throw new Error(child.output());
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.destroy();
    return true;
  });
  return {
    port,
    async stop() {
      await child.stop();
      rmSync(dir, { recursive: true });
    },
  };
}
