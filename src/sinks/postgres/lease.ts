import type { Database, Session } from './database.ts';
import { qualified } from './sql.ts';

/** Somebody else writes now, or the row is gone or has gone back. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
}

export interface LeaseOptions {
  readonly schema: string;
  readonly cluster: string;
  /** What is written under it: one lease for each. */
  readonly sink: string;
  /** Nobody else's, ever: not the pod's name alone, for a container that starts again has the same one. */
  readonly holder: string;
  readonly ttlMs?: number;
}

interface Held extends Readonly<Record<string, unknown>> {
  /** Somebody else has it. */
  readonly other: boolean;
  readonly epoch: string;
  /** When the rows were last known to be whole; null: never. */
  readonly flushed: string | null;
}

/** How long a writer that died keeps the others waiting. */
export const LEASE_TTL_MS = 12_000;

/**
 * Who writes: one row per cluster and sink, with the holder, an epoch that grows with every change of hands, and an end by the
 * database's clock. Whoever writes begins its writing by `enter` in the same transaction: that proves holder and epoch and locks the
 * row until the commit, so that nobody can take over between the proof and any statement after it. Whoever wants to take over waits
 * for that lock; a holder that is frozen meanwhile loses its transaction, and with it the lock, by the server's limit for idle ones.
 */
export class Lease {
  readonly #table: string;
  readonly #options: Required<LeaseOptions>;
  #epoch: string | undefined;
  /** Of the last time it was had. */
  #lastEpoch: string | undefined;
  #isResumed = false;
  /** Of another holder, as it was first met. */
  #met: Pick<Held, 'epoch' | 'flushed'> | undefined;
  /** Its end as it was last written here; and as far as that is committed. Milliseconds since 1970, by the database's clock. */
  #written = '0';
  #committed = '0';

  constructor(options: LeaseOptions) {
    this.#table = qualified(options.schema, 'leases');
    this.#options = { ttlMs: LEASE_TTL_MS, ...options };
  }

  get held(): boolean {
    return this.#epoch !== undefined;
  }

  /** Nobody else has had it since it was last had here. */
  get isResumed(): boolean {
    return this.#isResumed;
  }

  get ttlMs(): number {
    return this.#options.ttlMs;
  }

  /**
   * Takes it when it is free, has run out or is one's own already. Also from somebody at work, where `takesOver` says so: that is asked once
   * the holder has written, since it was met, all that it knows.
   */
  async acquire(database: Database, takesOver?: (session: Session) => Promise<boolean>): Promise<boolean> {
    const { cluster, sink, holder, ttlMs } = this.#options;
    const [row] = await database.transaction(async (session) => {
      // Without this look a replica that waits would wait for the lock of a holder at work.
      const [held] = await session.query<Held>(
        `SELECT expires_at > clock_timestamp() AND holder <> $3 AS other, epoch::text, ${wholeMs('flushed_at')} AS flushed
         FROM ${this.#table} WHERE cluster = $1 AND sink = $2`,
        [cluster, sink, holder],
      );
      const isTakenOver = held?.other === true && this.#hasWritten(held) && (await takesOver?.(session)) === true;
      if (held?.other === true && !isTakenOver) return [];
      return await session.query<{ epoch: string; ends: string }>(
        `INSERT INTO ${this.#table} AS held (cluster, sink, holder, epoch, expires_at)
         VALUES ($1, $2, $3, 1, clock_timestamp() + $4 * interval '1 millisecond')
         ON CONFLICT (cluster, sink) DO UPDATE
         SET holder = EXCLUDED.holder, epoch = held.epoch + 1, expires_at = EXCLUDED.expires_at
         WHERE held.expires_at <= clock_timestamp() OR held.holder = EXCLUDED.holder OR held.epoch = $5
         RETURNING epoch, ${ENDS} AS ends`,
        [cluster, sink, holder, ttlMs, isTakenOver ? held.epoch : null],
      );
    });
    this.#epoch = row?.epoch;
    if (row) {
      this.#isResumed = this.#lastEpoch !== undefined && BigInt(row.epoch) === BigInt(this.#lastEpoch) + 1n;
      this.#lastEpoch = row.epoch;
      this.#written = this.#committed = row.ends;
    }
    return this.held;
  }

  /** Whether the holder has said that the rows are whole since it was met as such. */
  #hasWritten({ epoch, flushed }: Held): boolean {
    if (this.#met?.epoch !== epoch) this.#met = { epoch, flushed };
    return this.#met.flushed !== flushed;
  }

  /** To be called before the first writing statement of a transaction. Throws `LeaseLost`. */
  async enter(session: Session): Promise<void> {
    await this.#renew(session, '');
  }

  /** To be called after the last one: the lease is counted from the end of a long transaction, and readers see how fresh the rows are. */
  async leave(session: Session): Promise<void> {
    await this.#renew(session, ', flushed_at = clock_timestamp()');
  }

  /** To be called when the transaction is committed: from then on the row says so, or a later one. */
  committed(): void {
    this.#committed = this.#written;
  }

  /**
   * Proves it again and again, by a connection of its own, until it is stopped: for what takes long before it enters. Without that two
   * writers that are slower than the lease would take it from each other for ever.
   */
  keep(database: Database): { stop(): Promise<void> } {
    let proof: Promise<void> | undefined;
    const timer = setInterval(() => {
      // Whoever enters afterwards notices what went wrong here.
      proof ??= database
        .transaction(async (session) => await this.enter(session))
        .then(() => this.committed())
        .catch(() => undefined)
        .finally(() => (proof = undefined));
    }, this.ttlMs / 3);
    return {
      async stop() {
        clearInterval(timer);
        await proof;
      },
    };
  }

  /** Gives it up, for the next one to begin at once. */
  async release(database: Database): Promise<void> {
    const epoch = this.#epoch;
    if (epoch === undefined) return;
    this.#epoch = undefined;
    const { cluster, sink, holder } = this.#options;
    await database.transaction(
      async (session) =>
        await session.write(
          `UPDATE ${this.#table} SET expires_at = clock_timestamp() WHERE cluster = $1 AND sink = $2 AND holder = $3 AND epoch = $4`,
          [cluster, sink, holder, epoch],
        ),
    );
  }

  /** What is known of it is no longer to be relied on. */
  forget(): void {
    this.#epoch = undefined;
  }

  /** A row that is older than what was written there was brought back, and with it all the others: by a dump that was restored. */
  async #renew(session: Session, also: string): Promise<void> {
    const { cluster, sink, holder, ttlMs } = this.#options;
    const [renewed] = await session.query<{ ends: string }>(
      `UPDATE ${this.#table} SET expires_at = clock_timestamp() + $5 * interval '1 millisecond'${also}
       WHERE cluster = $1 AND sink = $2 AND holder = $3 AND epoch = $4 AND expires_at >= to_timestamp($6::float8 / 1000)
       RETURNING ${ENDS} AS ends`,
      [cluster, sink, holder, this.#epoch ?? '0', ttlMs, this.#committed],
    );
    if (renewed) {
      this.#written = renewed.ends;
      return;
    }
    this.#epoch = undefined;
    throw new LeaseLost(`another podwhois writes ${sink} of ${cluster}, or an older state was restored`);
  }
}

/** A whole number: it comes back as it was read, however the role has fractions written. */
const wholeMs = (column: string): string => `floor(extract(epoch FROM ${column}) * 1000)::bigint`;
const ENDS = wholeMs('expires_at');
