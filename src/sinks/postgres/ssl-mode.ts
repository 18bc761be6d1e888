import { oneOf } from '../../settings/parsers.ts';
import { Wrong } from '../../settings/schema.ts';

/** As libpq means them, but for the two that fall back to plain text whenever somebody on the way wants it. */
export const SSL_MODES = ['disable', 'require', 'verify-ca', 'verify-full'] as const;

export type SslMode = (typeof SSL_MODES)[number];

export function sslMode(text: string): SslMode | Wrong {
  return /^(allow|prefer)$/i.test(text)
    ? new Wrong('require or disable: allow and prefer would send the password in plain text to whoever refuses TLS')
    : oneOf(...SSL_MODES)(text);
}
