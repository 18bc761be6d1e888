import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';

/** What a TLS server presents, in the shape in which Node wants it. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  readonly minVersion: 'TLSv1.2';
}

/** A certificate, perhaps with its chain, and its key, both in PEM. Throws an Error when they cannot be used together. */
export function certificate(cert: string, key: string): Certificate {
  const leaf = read('TLS_CERT_FILE holds no certificate (PEM)', () => new X509Certificate(cert));
  const own = read('TLS_KEY_FILE holds no private key (PEM, without a passphrase)', () => createPrivateKey(key));
  if (!leaf.checkPrivateKey(own)) throw new Error('TLS_KEY_FILE is not the key of TLS_CERT_FILE');
  const usable = { cert, key, minVersion: 'TLSv1.2' } as const;
  // Refuses what only OpenSSL knows of: a broken chain, a key that is too short.
  createSecureContext(usable);
  return usable;
}

function read<T>(otherwise: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new Error(otherwise, { cause });
  }
}
