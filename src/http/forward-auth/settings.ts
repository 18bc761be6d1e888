import type { Cidr } from '../../index/ip-address.ts';
import { boolean, duration, filePath, matching, oneOf } from '../../settings/parsers.ts';
import { setting } from '../../settings/schema.ts';
import type { Setting, Values } from '../../settings/schema.ts';
import { addCommands } from './commands.ts';
import { DEFAULT_IDENTITY_HEADERS, clientHeader, identityHeaders, trustedProxies } from './setting-parsers.ts';
import type { IdentityHeaders } from './setting-parsers.ts';
import { PRESET_NAMES, presetOf } from './presets.ts';
import type { PresetName } from './presets.ts';
import { bareName } from './header-names.ts';
import { FAMILIES } from './preflight-counts.ts';
import { overlap } from './trusted-proxies.ts';
import type { TrustedProxy } from './trusted-proxies.ts';

/** All settings of forward auth, in the order of the documentation. Always loaded; what they switch on is not. */
export const FORWARD_AUTH = {
  forwardAuth: setting<boolean | undefined>({
    variable: 'FORWARD_AUTH',
    flag: '--forward-auth [bool]',
    help: "answer reverse proxies' preflights at /authorize and /auth",
    fallback: undefined,
    fallbackText: 'true with FORWARD_AUTH_RULES, else false',
    example: 'true',
    parse: boolean,
  }),
  forwardAuthRules: setting<string | undefined>({
    variable: 'FORWARD_AUTH_RULES',
    flag: '--forward-auth-rules <path>',
    help: 'YAML file of rules, read again when it changes; constraints in the query must hold besides',
    fallback: undefined,
    fallbackText: 'none: the constraints in the query decide',
    example: '/etc/podwhois/rules.yaml',
    parse: filePath,
  }),
  forwardAuthDefault: setting<'deny' | 'identify' | undefined>({
    variable: 'FORWARD_AUTH_DEFAULT',
    flag: '--forward-auth-default <verdict>',
    help: 'without a rules file and without constraints: deny, or identify, which lets every pod pass that is known for certain',
    fallback: undefined,
    fallbackText: 'deny',
    example: 'identify',
    parse: oneOf('deny', 'identify'),
  }),
  trustedProxies: setting<readonly TrustedProxy[]>({
    variable: 'TRUSTED_PROXIES',
    flag: '--trusted-proxies <list>',
    help: 'who may name the client in a header: addresses, networks (which never make a pod trusted) and pod:namespace/service-account, comma-separated, or the flag again',
    fallback: [],
    fallbackText: 'nobody',
    example: 'pod:ingress/caddy,192.0.2.10',
    parse: trustedProxies,
    repeatable: true,
  }),
  clientIpHeader: setting<string | undefined>({
    variable: 'CLIENT_IP_HEADER',
    flag: '--client-ip-header <name>',
    help: 'the one header that names the client; set, it must be there in every preflight',
    fallback: undefined,
    fallbackText: "the preset's, else X-Forwarded-For",
    example: 'X-Real-IP',
    parse: clientHeader,
  }),
  forwardAuthPreset: setting<PresetName | undefined>({
    variable: 'FORWARD_AUTH_PRESET',
    flag: '--forward-auth-preset <proxy>',
    help: `which headers tell client, host, method and URI, and which statuses are understood: ${PRESET_NAMES.join(', ')}`,
    fallback: undefined,
    fallbackText: "none: Caddy's and Traefik's headers, which need not be there",
    example: 'nginx',
    parse: oneOf(...PRESET_NAMES),
  }),
  forwardAuthDirect: setting({
    variable: 'FORWARD_AUTH_DIRECT',
    flag: '--forward-auth-direct [bool]',
    help: 'callers connect themselves, so that TRUSTED_PROXIES may be empty',
    fallback: false,
    fallbackText: 'false',
    example: 'true',
    parse: boolean,
  }),
  forwardAuthPartialView: setting({
    variable: 'FORWARD_AUTH_PARTIAL_VIEW',
    flag: '--forward-auth-partial-view [bool]',
    help: 'allow NAMESPACE and NODE_NAME, though a pod that they hide may claim the same address',
    fallback: false,
    fallbackText: 'false',
    example: 'true',
    parse: boolean,
  }),
  forwardAuthWait: setting({
    variable: 'FORWARD_AUTH_WAIT',
    flag: '--forward-auth-wait <duration>',
    help: 'how long a caller whose address no pod has yet waits for one: new pods call before their address is reported',
    fallback: 0,
    fallbackText: '0s',
    example: '500ms',
    parse: duration(0, 2000),
  }),
  forwardAuthAudit: setting({
    variable: 'FORWARD_AUTH_AUDIT',
    flag: '--forward-auth-audit [bool]',
    help: 'decide and log, and let everybody pass: for introducing rules',
    fallback: false,
    fallbackText: 'false',
    example: 'true',
    parse: boolean,
  }),
  forwardAuthDebug: setting({
    variable: 'FORWARD_AUTH_DEBUG',
    flag: '--forward-auth-debug [bool]',
    help: 'tell why in the header X-Podwhois-Reason, rule and candidates too',
    fallback: false,
    fallbackText: 'false',
    example: 'true',
    parse: boolean,
  }),
  forwardAuthHeaders: setting<IdentityHeaders>({
    variable: 'FORWARD_AUTH_HEADERS',
    flag: '--forward-auth-headers <renames>',
    help: 'other names for the identity headers: field=Name, comma-separated, or the flag again; the fields are name, namespace, uid, ip, node, service-account, workload and token (sent with a key only)',
    fallback: DEFAULT_IDENTITY_HEADERS,
    fallbackText: Object.values(DEFAULT_IDENTITY_HEADERS).join(', '),
    example: 'namespace=X-Team,name=X-Caller',
    parse: identityHeaders,
    repeatable: true,
  }),
  forwardAuthTokenKeyFile: setting<string | undefined>({
    variable: 'FORWARD_AUTH_TOKEN_KEY_FILE',
    flag: '--forward-auth-token-key-file <path>',
    help: 'Ed25519 keys (PEM) that sign a token of the identity; read again when the file changes',
    fallback: undefined,
    fallbackText: 'none: no token',
    example: '/etc/podwhois/token/key.pem',
    parse: filePath,
  }),
  forwardAuthTokenAudience: setting<string | undefined>({
    variable: 'FORWARD_AUTH_TOKEN_AUDIENCE',
    flag: '--forward-auth-token-audience <name>',
    help: "the token's aud: for whom it is",
    fallback: undefined,
    fallbackText: 'none; needed with a key',
    example: 'shop-backend',
    parse: matching(/^[\x21-\x7e]+$/, 253, 'visible ASCII characters, at most 253'),
  }),
  forwardAuthTokenIssuer: setting({
    variable: 'FORWARD_AUTH_TOKEN_ISSUER',
    flag: '--forward-auth-token-issuer <name>',
    help: "the token's iss: who made it",
    fallback: 'podwhois',
    fallbackText: 'podwhois',
    example: 'https://podwhois.example',
    parse: matching(/^[\x21-\x7e]+$/, 253, 'visible ASCII characters, at most 253'),
  }),
} as const;

export type ForwardAuthSettings = Values<typeof FORWARD_AUTH>;

/** The core's settings that the checks look at. */
interface CoreSettings {
  readonly labelSelector: string | undefined;
  readonly namespaces: readonly string[];
  readonly nodeName: string | undefined;
  readonly clusterCidrs: readonly Cidr[];
}

/** A setting that is wrong by itself is undefined here. */
type Together = Partial<ForwardAuthSettings & CoreSettings>;

type Complaint = { readonly key: keyof Together; readonly expected: string };

const isOn = ({ forwardAuth, forwardAuthRules }: Pick<Together, 'forwardAuth' | 'forwardAuthRules'>): boolean =>
  forwardAuth ?? forwardAuthRules !== undefined;

/** Everything about proxies that would let somebody speak for others, or nobody pass (rules E1, E8). */
function proxyComplaints(values: Together): readonly Complaint[] {
  const { trustedProxies: proxies, forwardAuthDirect: direct, clusterCidrs = [] } = values;
  if (proxies === undefined) return [];
  const complaints: Complaint[] = [];
  if (proxies.length === 0 && direct === false) {
    complaints.push({
      key: 'trustedProxies',
      expected:
        "the proxies' addresses, networks or pod:namespace/service-account, because a proxy that is not listed would pass for the caller; FORWARD_AUTH_DIRECT=true says that callers connect themselves",
    });
  }
  if (proxies.length === 0 && direct === true) {
    for (const key of ['forwardAuthPreset', 'clientIpHeader'] as const) {
      if (values[key] === undefined) continue;
      complaints.push({ key, expected: 'unset while TRUSTED_PROXIES lists nobody: every preflight would be denied' });
    }
  }
  for (const proxy of proxies) {
    const inside = proxy.kind === 'network' && clusterCidrs.find((cidr) => overlap(cidr, proxy.cidr));
    if (!inside) continue;
    complaints.push({
      key: 'trustedProxies',
      expected: `pod:namespace/service-account or single addresses instead of ${proxy.text}, which overlaps CLUSTER_CIDR (${inside.text}): a pod that calls before its address is reported would be believed as a proxy`,
    });
  }
  return complaints;
}

/** Rule A10: a pod that is not seen may claim the caller's address. */
function viewComplaints(values: Together): readonly Complaint[] {
  const complaints: Complaint[] = [];
  if (values.labelSelector !== undefined) {
    complaints.push({
      key: 'labelSelector',
      expected: 'unset with forward auth: a pod that it hides may claim the address of one that it shows',
    });
  }
  if (values.forwardAuthPartialView !== false) return complaints;
  const expected =
    'unset with forward auth, because a pod that it hides may claim the address of one that it shows; FORWARD_AUTH_PARTIAL_VIEW=true allows it';
  if (values.namespaces && values.namespaces.length > 0) complaints.push({ key: 'namespaces', expected });
  if (values.nodeName !== undefined) complaints.push({ key: 'nodeName', expected });
  return complaints;
}

function otherComplaints(values: Together): readonly Complaint[] {
  const complaints: Complaint[] = [];
  if (values.forwardAuthDefault !== undefined && values.forwardAuthRules !== undefined) {
    complaints.push({
      key: 'forwardAuthDefault',
      expected: 'unset with FORWARD_AUTH_RULES: the file has its own default',
    });
  }
  if (values.forwardAuthTokenKeyFile !== undefined && values.forwardAuthTokenAudience === undefined) {
    complaints.push({
      key: 'forwardAuthTokenAudience',
      expected: 'set with FORWARD_AUTH_TOKEN_KEY_FILE: a token for nobody in particular is accepted by everybody',
    });
  }
  const client = bareName(values.clientIpHeader ?? '');
  if (Object.values(values.forwardAuthHeaders ?? {}).some((name) => bareName(name) === client)) {
    complaints.push({ key: 'forwardAuthHeaders', expected: 'names other than CLIENT_IP_HEADER' });
  }
  return complaints;
}

/** While forward auth is off nothing is checked: what is set then does nothing. */
const checks = [proxyComplaints, viewComplaints, otherComplaints].map(
  (check) =>
    (values: Together): readonly Complaint[] =>
      isOn(values) ? check(values) : [],
);

/** What is allowed and may still surprise: sentences for the log at start. */
function warnings(values: ForwardAuthSettings): readonly string[] {
  const given = Object.entries<Setting<unknown>>(FORWARD_AUTH)
    .filter(([key, { fallback }]) => key !== 'forwardAuth' && values[key as keyof ForwardAuthSettings] !== fallback)
    .map(([, { variable }]) => variable);
  if (!isOn(values)) {
    return given.length === 0 ? [] : [`forward auth is off, so these settings do nothing: ${given.join(', ')}`];
  }
  const sentences: string[] = [];
  if (values.forwardAuthAudit) {
    sentences.push('FORWARD_AUTH_AUDIT is on: every request passes, whatever the rules say');
  }
  if (values.forwardAuthDebug) {
    sentences.push('FORWARD_AUTH_DEBUG is on: callers may see rules and the names of pods in X-Podwhois-Reason');
  }
  if (
    values.forwardAuthRules !== undefined &&
    values.trustedProxies.length > 0 &&
    values.forwardAuthPreset === undefined
  ) {
    const { host, method, uri } = presetOf(undefined);
    sentences.push(
      `FORWARD_AUTH_PRESET is not set: ${host}, ${method} and ${uri} are believed as a trusted proxy sends them, and a proxy that does not set them itself sends what the caller wrote`,
    );
  }
  return sentences;
}

/** What `src/capabilities.ts` lists. */
export const forwardAuth = {
  name: 'forward-auth',
  settings: FORWARD_AUTH,
  checks,
  metrics: FAMILIES,
  isOn,
  warnings,
  addCommands,
  load: async () => await import('./forward-auth.ts'),
} as const;
