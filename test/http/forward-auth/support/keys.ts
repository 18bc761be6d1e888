import { generateKeyPairSync } from 'node:crypto';

/** A new Ed25519 key as PKCS#8 in PEM, as `openssl genpkey -algorithm ed25519` writes it. */
export function newKey(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
}
