import type { Logger } from 'pino';
import type { View } from '../../index/answer.ts';
import type { PodIndex } from '../../index/pod-index.ts';
import type { Metrics } from '../../metrics.ts';
import type { Clock, Remark } from '../context.ts';
import type { Parts } from '../parts.ts';
import type { HttpAddition, HttpPlug } from '../plug.ts';
import { SettingsError } from '../../settings/schema.ts';
import { ClientAddresses } from './client-address.ts';
import { DecisionLog } from './decision-log.ts';
import { denialAnswers } from './denial-answers.ts';
import { Evaluator } from './evaluation.ts';
import { Identities } from './identity-headers.ts';
import { explainRoute } from './explain.ts';
import { withoutRules } from './policy.ts';
import type { Policy } from './policy.ts';
import { remarkOn } from '../../watched-files.ts';
import type { Watched } from '../../watched-files.ts';
import { FAMILIES, PreflightCounts } from './preflight-counts.ts';
import { Preflight } from './preflight.ts';
import { preflightQuery } from './preflight-target.ts';
import { presetOf } from './presets.ts';
import { QueryConstraints } from './query-constraints.ts';
import { KEYS_PATH, keyRoute, preflightRoutes } from './routes.ts';
import { openRules } from './rules-source.ts';
import type { ForwardAuthSettings } from './settings.ts';
import { openTokens } from './token-source.ts';
import type { TokenSource } from './token-source.ts';
import type { NamespaceLabels } from './verdict.ts';

/** What the service gives; `src/capabilities.ts` says more. */
export interface Surroundings {
  readonly settings: ForwardAuthSettings & { readonly terminatingSlack: number };
  readonly index: PodIndex;
  readonly view: View;
  readonly clock: Clock & { wall(): number };
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly namespaces: (options?: { readonly countForReady?: boolean }) => NamespaceLabels;
}

export interface ForwardAuth {
  readonly http: HttpPlug;
  /** For `/ready?verbose`. */
  remarks(): readonly Remark[];
  close(): void;
}

/**
 * Plugs forward auth into the service. Throws `SettingsError` when a file that the settings name is wrong, with all that is wrong in
 * all of them.
 */
export async function plug(surroundings: Surroundings): Promise<ForwardAuth> {
  const { settings, clock, log, metrics } = surroundings;
  const counts = new PreflightCounts();
  const labels = namespaceLabels(surroundings);
  const stop = new AbortController();
  const watching = { clock, log, signal: stop.signal };
  const { forwardAuthRules, forwardAuthTokenKeyFile, forwardAuthTokenIssuer, forwardAuthTokenAudience } = settings;
  const [rules, signing] = await all([
    forwardAuthRules === undefined ? undefined : openRules(forwardAuthRules, watching),
    forwardAuthTokenKeyFile === undefined
      ? undefined
      : openTokens(forwardAuthTokenKeyFile, {
          issuer: forwardAuthTokenIssuer,
          audience: forwardAuthTokenAudience ?? '',
          ...watching,
        }),
  ]).catch((error: unknown) => {
    stop.abort();
    throw error;
  });
  function inForce({ rules = [], fallback, needsNamespaces }: Policy): void {
    log.info({ rules: rules.length, default: fallback, file: forwardAuthRules }, 'rules are in force');
    counts.keep(rules.map(({ name }) => name));
    labels.countForReady(needsNamespaces);
  }
  const fixed = withoutRules(settings.forwardAuthDefault ?? 'deny');
  const policy = rules ? () => rules.value : () => fixed;
  inForce(policy());
  rules?.onChange(inForce);

  const files = { ...(rules && { rules }), ...(signing && { keys: signing.file }) };
  publish(metrics, counts, files);
  return {
    http: (parts) => addition(parts, surroundings, { policy, signing, counts, labels }),
    remarks: () => [
      ...(settings.forwardAuthAudit ? [AUDIT] : []),
      ...(rules ? [remarkOn('FORWARD_AUTH_RULES', rules)] : []),
      ...(signing ? [remarkOn('FORWARD_AUTH_TOKEN_KEY_FILE', signing.file)] : []),
    ],
    close: () => stop.abort(),
  };
}

const AUDIT: Remark = {
  name: 'FORWARD_AUTH_AUDIT',
  ok: true,
  message: 'every preflight passes, whatever the rules say',
};

interface Running {
  readonly policy: () => Policy;
  readonly signing: TokenSource | undefined;
  readonly counts: PreflightCounts;
  readonly labels: NamespaceLabels;
}

function addition(parts: Parts, { settings, index, view, clock, log }: Surroundings, running: Running): HttpAddition {
  const { policy, signing, counts, labels } = running;
  const { forwardAuthPreset: name, forwardAuthHeaders: names, forwardAuthAudit: audit } = settings;
  const { only403, uri } = presetOf(name);
  const known = { index, view, terminatingSlackMs: settings.terminatingSlack };
  const wall = (): number => clock.wall();
  const identities = new Identities(names);
  const evaluator = new Evaluator({
    freshness: parts.freshness,
    clients: new ClientAddresses({
      ...known,
      proxies: settings.trustedProxies,
      preset: name,
      clientIpHeader: settings.clientIpHeader,
      identityHeaders: Object.values(names),
    }),
    known,
    constraints: new QueryConstraints(),
    policy,
    namespaces: labels,
    identities,
    wall,
  });
  const callersOwnRequest = uri === undefined;
  const preflight = new Preflight({
    evaluator,
    freshness: parts.freshness,
    waiters: parts.waiters,
    identities,
    tokens: signing && { header: names.token, issuer: signing.tokens },
    answers: denialAnswers(only403),
    counts,
    decisions: new DecisionLog({ log, audit }),
    log,
    callersOwnRequest,
    waitMs: settings.forwardAuthWait,
    audit,
    debug: settings.forwardAuthDebug,
  });
  return {
    front: preflight.front,
    routes(app) {
      preflightRoutes(app, names, signing !== undefined);
      explainRoute(app, parts, evaluator, identities);
      if (signing) keyRoute(app, signing.keys, parts);
    },
    isOpen: (path) => path === KEYS_PATH || preflightQuery(path, callersOwnRequest) !== undefined,
  };
}

/**
 * The labels of namespaces are watched from the first question on. `/ready` counts them while the rules need them; a constraint
 * anybody can write, so it must not.
 */
function namespaceLabels({ namespaces }: Surroundings): NamespaceLabels & { countForReady(is: boolean): void } {
  let source: NamespaceLabels | undefined;
  const started = (): NamespaceLabels => (source ??= namespaces());
  return {
    get refusal() {
      return started().refusal;
    },
    labelsOf: (namespace) => started().labelsOf(namespace),
    countForReady(is) {
      if (is || source) source = namespaces({ countForReady: is });
    },
  };
}

function publish(
  metrics: Metrics,
  counts: PreflightCounts,
  files: Readonly<Record<string, Pick<Watched<unknown>, 'isValid' | 'reloads'>>>,
): void {
  metrics.publish('preflights_total', FAMILIES.preflights_total, () => counts.samples());
  const each = Object.entries(files);
  metrics.publish('forward_auth_file_valid', FAMILIES.forward_auth_file_valid, () =>
    each.map(([name, { isValid }]) => [[name], isValid ? 1 : 0]),
  );
  metrics.publish('forward_auth_reloads_total', FAMILIES.forward_auth_reloads_total, () =>
    each.flatMap(([name, { reloads }]) => [
      [[name, 'ok'], reloads.ok],
      [[name, 'failed'], reloads.failed],
    ]),
  );
}

/** Both, or everything that is wrong with either. */
async function all<A, B>([a, b]: readonly [A | Promise<A>, B | Promise<B>]): Promise<[A, B]> {
  const settled = await Promise.allSettled([a, b]);
  const reasons = settled.flatMap((one): unknown[] => (one.status === 'rejected' ? [one.reason] : []));
  const problems = reasons.flatMap((reason) => {
    if (!(reason instanceof SettingsError)) throw reason;
    return reason.problems;
  });
  if (problems.length > 0) throw new SettingsError(problems);
  return await Promise.all([a, b]);
}
