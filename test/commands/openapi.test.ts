import assert from 'node:assert/strict';
import { test } from 'node:test';
import { podwhois } from '../support/cli.ts';

test('openapi prints the document of the HTTP API, and nothing else', async () => {
  const { code, stdout, stderr } = await podwhois(['openapi'], { environment: { PORT: 'nonsense' } });
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  const document = JSON.parse(stdout) as { openapi: string; paths: Record<string, unknown> };
  assert.match(document.openapi, /^3\.1/);
  for (const path of ['/pod', '/pods', '/pods/lookup', '/pods/stream', '/whoami', '/health', '/ready', '/metrics']) {
    assert.ok(path in document.paths, path);
  }
});
