import { isLabelValue } from '../../label-selector.ts';
import { namespaceName } from '../../settings/parsers.ts';
import { failureOf } from '../postgres/advice.ts';
import type { Database, Log } from '../postgres/database.ts';
import { LeaseLost } from '../postgres/lease.ts';
import type { Lease } from '../postgres/lease.ts';
import { qualified } from '../postgres/sql.ts';
import type { Clock } from '../postgres/writer.ts';
import type { TableName } from './table-name.ts';

export interface Service {
  readonly namespace: string;
  readonly service: string;
}

/** The cluster itself, asked by consistent reads. */
export interface EndpointSliceLookup {
  /** Which of these Services of one namespace have EndpointSlices now, or may have; 'forbidden': there is no right to list them. Throws where nobody knows. */
  readonly having: (
    namespace: string,
    services: readonly string[],
    signal: AbortSignal,
  ) => Promise<ReadonlySet<string> | 'forbidden'>;
}

export interface AbandonedRowsOptions {
  readonly database: Database;
  readonly lease: Lease | undefined;
  readonly table: TableName;
  readonly cluster: string;
  /** Those that are watched, one at least: what is in them is the writer's. */
  readonly namespaces: readonly string[];
  readonly lookup: EndpointSliceLookup;
  /** Whether this process is the one that writes, and may now. */
  readonly mayWrite: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

const EVERY_MS = 600_000;
/** Rule B9: between an empty list and the one that confirms it. */
const LOOK_AGAIN_MS = 5_000;
/** Services in one round: so many lists at most, and those which find nothing again. */
const PER_ROUND = 500;
/** In one list, 64 bytes each: its address stays below 4 KB, which every proxy takes. */
const PER_LIST = 50;
/** For how long nobody has written a row, in seconds. No transaction is so long; and what another mirror keeps up is not asked about. */
const UNWRITTEN_S = 3_600;

type Outcome = 'unknown' | 'none' | 'working' | 'forbidden' | 'failing';

const REMARKS: Readonly<Record<Outcome, string>> = {
  unknown: 'not looked for yet',
  none: 'none that nobody writes any more',
  working: 'those of Services without any EndpointSlices go',
  forbidden: 'they stay: there is no right to list endpointslices there, see docs/endpoint-mirror.md',
  failing: 'they stay for now: the last look failed, see the log',
};

/**
 * Deletes the rows of namespaces that are not watched whose Service has no EndpointSlices left in the cluster at all, and no others:
 * 1. Postgres says which rows nobody has written for an hour before now, by its own clock: that moment is T.
 * 2. The API server says twice, 5 s apart, that there are no EndpointSlices of their Services.
 * 3. Of these Services the rows go that are still from before T.
 * So nothing is lost to a race. Who writes rows of such a Service, another mirror, does so because it has EndpointSlices again, after
 * step 2 began; then they are from after T, for `last_seen` is the begin of their transaction, and no transaction lasts an hour.
 */
export class AbandonedRows {
  readonly #options: AbandonedRowsOptions;
  /** Where the last round ended; the next one goes on behind it. */
  #last: Service = FIRST;
  #outcome: Outcome = 'unknown';
  #saidForbidden = false;
  #deleted = 0;

  constructor(options: AbandonedRowsOptions) {
    this.#options = options;
  }

  /** Rows. */
  get deleted(): number {
    return this.#deleted;
  }

  /** What becomes of the rows of other namespaces, for everybody to read. */
  get remark(): string {
    return REMARKS[this.#outcome];
  }

  /** Runs until the signal ends it; looks whether it may begin once in `askMs`. Never rejects. */
  async run(signal: AbortSignal, askMs: number): Promise<void> {
    const { clock, mayWrite } = this.#options;
    while (!signal.aborted) {
      const due = mayWrite();
      if (due) await this.round(signal);
      await clock.sleep(due ? EVERY_MS : Math.min(askMs, EVERY_MS), signal);
    }
  }

  /** Never rejects. */
  async round(signal: AbortSignal): Promise<void> {
    const { clock, log, mayWrite, table } = this.#options;
    try {
      const isFromFirst = this.#last === FIRST;
      const { before, services } = await this.#candidates();
      if (services.length === 0) {
        // Behind the last ones there being none says nothing of those.
        if (isFromFirst) this.#outcome = 'none';
        return;
      }
      const first = await this.#look(services, signal);
      if (first.without.length > 0) await clock.sleep(LOOK_AGAIN_MS, signal);
      const second = await this.#look(first.without, signal);
      this.#outcome = first.isForbidden || second.isForbidden ? 'forbidden' : 'working';
      if (second.without.length === 0 || signal.aborted || !mayWrite()) return;
      const rows = await this.#delete(second.without, before);
      this.#deleted += rows;
      log.info(
        { table: table.text, services: second.without.length, rows },
        'deleted what nobody writes any more: its Services have no EndpointSlices',
      );
    } catch (err) {
      if (signal.aborted || err instanceof LeaseLost) return;
      this.#outcome = 'failing';
      log.warn(
        { table: table.text, ...failureOf(err) },
        'rows of other namespaces stay: it is not known whether their Services are gone',
      );
    }
  }

  /** The Services behind the last ones whose rows were all, or some of them, written before the time that is given with them. */
  async #candidates(): Promise<{ readonly before: string; readonly services: readonly Service[] }> {
    const { database, table, cluster, namespaces } = this.#options;
    const found = await database.transaction(
      async (session) =>
        await session.query<{ namespace: string; service: string; before: string }>(
          `SELECT DISTINCT t.namespace, t.service,
             to_char((now() - $5 * interval '1 second') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS before
           FROM ${qualified(table.schema, table.name)} AS t
           WHERE t.cluster = $1 AND t.namespace <> ALL ($2::text[]) AND (t.namespace, t.service) > ($3::text, $4::text)
             AND t.last_seen < now() - $5 * interval '1 second'
           ORDER BY t.namespace, t.service LIMIT ${PER_ROUND}`,
          [cluster, namespaces, this.#last.namespace, this.#last.service, UNWRITTEN_S],
        ),
    );
    this.#last = (found.length === PER_ROUND ? found.at(-1) : undefined) ?? FIRST;
    return { before: found[0]?.before ?? '', services: found };
  }

  /** A namespace that may not be listed ends the look, for others are like it; the next round goes on behind it. */
  async #look(
    services: readonly Service[],
    signal: AbortSignal,
  ): Promise<{ readonly without: readonly Service[]; readonly isForbidden: boolean }> {
    const without: Service[] = [];
    for (const { namespace, names } of listsOf(services)) {
      signal.throwIfAborted();
      const having = await this.#options.lookup.having(namespace, names, signal);
      if (having === 'forbidden') {
        this.#forbidden({ namespace, service: names.at(-1) ?? '' });
        return { without, isForbidden: true };
      }
      without.push(...names.filter((name) => !having.has(name)).map((service) => ({ namespace, service })));
    }
    return { without, isForbidden: false };
  }

  #forbidden(last: Service): void {
    const { table, log } = this.#options;
    this.#last = last;
    if (this.#saidForbidden) return;
    this.#saidForbidden = true;
    log.info(
      { table: table.text, namespace: last.namespace },
      'rows of other namespaces stay, whatever became of their Services: there is no right to list endpointslices there',
    );
  }

  async #delete(services: readonly Service[], before: string): Promise<number> {
    const { database, lease, table, cluster } = this.#options;
    return await database.transaction(async (session) => {
      await lease?.enter(session);
      return await session.write(
        `DELETE FROM ${qualified(table.schema, table.name)} AS t USING unnest($2::text[], $3::text[]) AS g (namespace, service)
         WHERE t.cluster = $1 AND t.namespace = g.namespace AND t.service = g.service AND t.last_seen < $4::timestamptz`,
        [cluster, services.map(({ namespace }) => namespace), services.map(({ service }) => service), before],
      );
    });
  }
}

const FIRST: Service = { namespace: '', service: '' };

/**
 * The lists that tell of these Services, which come in the order of their namespaces. Names that no Service can have are left out: the
 * API server would not know what is asked for, or be asked for something else, and who wrote them is not known.
 */
export function listsOf(
  services: readonly Service[],
): readonly { readonly namespace: string; readonly names: readonly string[] }[] {
  const lists: { readonly namespace: string; readonly names: string[] }[] = [];
  for (const { namespace, service } of services) {
    if (namespaceName(namespace) === undefined || service === '' || !isLabelValue(service)) continue;
    const list = lists.at(-1);
    if (list?.namespace === namespace && list.names.length < PER_LIST) list.names.push(service);
    else lists.push({ namespace, names: [service] });
  }
  return lists;
}
