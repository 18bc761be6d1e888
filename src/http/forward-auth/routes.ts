import { Type } from 'typebox';
import { ERRORS } from '../../errors.ts';
import { sendError, sendJson } from '../answering.ts';
import type { App, Parts } from '../parts.ts';
import { answers, ErrorAnswer, OneOf, query, Text } from '../schemas.ts';
import { IDENTITY } from './identity-headers.ts';
import { PATHS } from './preflight-target.ts';
import type { IdentityHeaders } from './setting-parsers.ts';
import type { KeyRing } from './signing-keys.ts';
import { DENIALS } from './verdict.ts';
import type { DenyReason } from './verdict.ts';

const REASONS = Object.keys(DENIALS) as DenyReason[];

export const DenialReason = OneOf(REASONS, { description: 'why the caller may not pass' });

const Denial = Type.Object(
  { ...Type.Omit(ErrorAnswer, ['reason', 'candidates']).properties, reason: Type.Optional(DenialReason) },
  { $id: 'Denial' },
);

const Constraint = (description: string) => {
  const one = Text(description, 4096);
  return Type.Optional(
    Type.Union([one, Type.Array(one)], { description: `${description}; may be repeated: any of them` }),
  );
};

/** What a preflight's own query may ask of the caller; all kinds must hold. */
export const CONSTRAINTS = {
  namespace: Constraint("the pod's namespace"),
  service_account: Constraint("the pod's service account, as namespace/name"),
  workload: Constraint("the pod's workload, as namespace/Kind/name"),
  node: Constraint("the pod's node"),
  label_selector: Constraint("selects the pod's labels"),
  namespace_selector: Constraint("selects the labels of the pod's namespace"),
};

/**
 * The preflight's paths as the OpenAPI document and the router know them. Preflights are answered in front of the router: what comes
 * here is another spelling or another method, and is refused (rule E3), OPTIONS too, which elsewhere is 204.
 */
export function preflightRoutes(app: App, names: IdentityHeaders, withToken: boolean): void {
  app.addSchema(Denial);
  for (const url of PATHS) {
    app.get(
      url,
      {
        schema: {
          summary: 'May this caller pass?',
          description:
            "A reverse proxy's preflight. The caller is the peer of the connection, or whom a trusted proxy names in the one configured header. 200 says who it is in the headers.",
          querystring: query(CONSTRAINTS),
          response: responses(names, withToken),
        },
      },
      (_request, reply) => sendError(reply, 'route_not_found', ERRORS.route_not_found.meaning),
    );
    app.options(url, { schema: { hide: true } }, (_request, reply) =>
      sendError(reply.header('allow', 'GET, HEAD'), 'method_not_allowed', ERRORS.method_not_allowed.meaning),
    );
  }
}

function responses(names: IdentityHeaders, withToken: boolean): Record<number, unknown> {
  const keys = [...IDENTITY, ...(withToken ? (['token'] as const) : [])];
  const headers = Object.fromEntries(
    keys.map((key) => [names[key], { type: 'string', description: `its ${key}, or -` }]),
  );
  const all: Record<number, unknown> = {
    200: { type: 'null', description: 'it may; every header is always there', headers },
  };
  for (const status of [400, 403, 503]) {
    const reasons = REASONS.filter((reason) => ERRORS[DENIALS[reason].code].status === status);
    const each = reasons.map((reason) => `${reason}: ${DENIALS[reason].meaning}`).join('; ');
    const also = status === 403 ? ' (with the presets nginx, ingress-nginx and envoy every denial is a 403)' : '';
    all[status] = { $ref: 'Denial#', description: `${each}${also}` };
  }
  return all;
}

const KeySet = Type.Object({
  keys: Type.Array(
    Type.Object({
      kty: OneOf(['OKP']),
      crv: OneOf(['Ed25519']),
      x: Type.String(),
      kid: Type.String({ description: 'RFC 7638 thumbprint' }),
      alg: OneOf(['EdDSA']),
      use: OneOf(['sig']),
    }),
  ),
});

/** For back ends that verify the token. */
export function keyRoute(app: App, keys: KeyRing, { clock }: Parts): void {
  app.get(
    KEYS_PATH,
    {
      schema: {
        summary: 'The keys that verify the token of a preflight (RFC 7517)',
        querystring: query({}),
        response: answers({ 200: KeySet }, []),
      },
    },
    (_request, reply) => sendJson(reply, JSON.stringify(keys.published(clock.now()))),
  );
}

export const KEYS_PATH = '/.well-known/jwks.json';
