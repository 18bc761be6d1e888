import { Wrong } from '../../settings/schema.ts';

/** As libpq means them. */
const LIBPQ_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;

/** The two others fall back to plain text whenever somebody on the way wants it. */
export const SSL_MODES = ['disable', 'require', 'verify-ca', 'verify-full'] as const;

export type SslMode = (typeof LIBPQ_MODES)[number];

/** Takes all of libpq's, for the variable may be there for somebody else; `isRefused` is asked when it is used. */
export const sslMode = (text: string): SslMode | Wrong =>
  LIBPQ_MODES.find((mode) => mode === text.toLowerCase()) ?? new Wrong(`one of ${SSL_MODES.join(', ')}`);

export const isRefused = (mode: SslMode): boolean => mode === 'allow' || mode === 'prefer';
