import assert from 'node:assert/strict';
import { subscribe } from 'node:diagnostics_channel';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { request } from 'undici';
import { heapUsed } from '../support/heap-used.ts';
import { startService } from './support/service.ts';

setFlagsFromString('--allow-natives-syntax');
const hasFastProperties = runInNewContext('(object) => %HasFastProperties(object)') as (object: object) => boolean;

test('requests that come while V8 collects everything leave those after them as fast as they are', async (t) => {
  const { url } = await startService(t);
  const layouts = new Set<string>();
  subscribe('http.server.request.start', (message) => {
    const { request: asked, response } = message as { request: IncomingMessage; response: ServerResponse };
    layouts.add(`${hasFastProperties(asked)} ${hasFastProperties(response)}`);
  });
  for (let i = 0; i < 12; i++) {
    const { body } = await request(`${url}/health`);
    await body.dump();
    // V8 keeps the layouts of what is gone for two collections.
    heapUsed();
    heapUsed();
  }
  assert.deepEqual([...layouts], ['true true']);
});
