import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { compileRules } from '../../src/http/forward-auth/rules-file.ts';
import { API_ONLY, realServer, startControlPlane } from '../support/real-servers.ts';
import { snippet } from './support/pages.ts';

const root = join(import.meta.dirname, '../..');

test('every rules file that the documentation shows is one that podwhois takes', () => {
  const blocks = globSync('docs/**/*.md', { cwd: root }).flatMap((page) =>
    [...readFileSync(join(root, page), 'utf8').matchAll(/^```yaml\n(# rules\.yaml.*?)^```$/gms)].map(
      ([, text]) => [page, text ?? ''] as const,
    ),
  );
  assert.ok(blocks.length >= 2);
  for (const [page, text] of blocks) assert.deepEqual(compileRules(text).problems, undefined, page);
});

test('every manifest that the pages show is one that an API server takes', realServer(...API_ONLY), async (t) => {
  const plane = await startControlPlane({ apiOnly: true });
  t.after(() => plane.down());
  const manifests = [
    snippet('docs/threat-model.md', 'networkpolicy.yaml'),
    snippet('docs/proxies/ingress-nginx.md', 'ingress.yaml'),
  ].flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as Manifest));
  assert.equal(manifests.length, 3);
  const post = async (path: string, body: unknown): Promise<void> => {
    const headers = { 'content-type': 'application/json' };
    const response = await plane.fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
    const answer = await response.text();
    assert.ok(response.ok || response.status === 409, `${path}: ${answer}`);
  };
  for (const manifest of manifests) {
    const { apiVersion, kind, metadata } = manifest;
    await post('/api/v1/namespaces', { metadata: { name: metadata.namespace } });
    const plural = kind.replace(/y$/, 'ie').replace(/s$/, 'se').toLowerCase();
    await post(`/apis/${apiVersion}/namespaces/${metadata.namespace}/${plural}s?fieldValidation=Strict`, manifest);
  }
});

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly namespace: string };
}
