import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IncomingMessage, ServerResponse } from 'node:http';
import * as fc from 'fast-check';
import { Freshness } from '../../src/http/freshness.ts';
import { hotLookup } from '../../src/http/hot-lookup.ts';
import type { Lookup } from '../../src/http/lookup.ts';
import { makePod, strings } from './support/pods.ts';
import { exchange } from './support/raw.ts';
import { FakeSource, startService } from './support/service.ts';

/** What comes back, byte by byte, but for the time of day. */
async function bytes(port: number, target: string, extra = ''): Promise<string> {
  const text = await exchange(port, `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${extra}\r\n`);
  return text.replace(/^Date: .*\r\n/m, '');
}

test('what is answered in front of the router and behind it is the same, byte by byte', async (t) => {
  const service = await startService(t, {
    pods: [
      makePod('one', { podIps: ['10.0.0.1', 'fd00::1'], labels: strings({ a: 'é"\\\n🦭', 'x/y': '' }) }),
      makePod('terminating', { podIps: ['10.0.0.2'], deletionTimestamp: 5, containers: [], owner: undefined }),
      makePod('both-a', { podIps: ['10.0.0.3'] }),
      makePod('both-b', { podIps: ['10.0.0.3'] }),
      makePod('host', { podIps: ['10.0.0.4'], hostNetwork: true, hostIps: ['10.0.0.5'] }),
      makePod('done', { podIps: ['10.0.0.6'], phase: 'Failed' }),
    ],
  });
  service.index.slice().setAside({ key: 'k', namespace: 'a', name: 'b', ips: ['10.0.0.7'], reason: 'r' });
  const { port, source } = service;
  const states: (() => void)[] = [
    () => Object.assign(source, { synced: true, age: 1234.5 }),
    () => Object.assign(source, { age: 300_001 }),
    () => Object.assign(source, { synced: false }),
  ];
  const seen = new Set<string>();
  for (const enter of states) {
    enter();
    const known = Array.from({ length: 9 }, (_, i) => `10.0.0.${i}`);
    for (const ip of [
      ...known,
      'fd00::1',
      'FD00:0:0::1',
      '::ffff:10.0.0.1',
      'fe80::',
      '1.2.3',
      ':',
      '01.2.3.4',
      '::1.2.3.04',
    ]) {
      const hot = await bytes(port, `/pod?ip=${ip}`);
      seen.add(hot.slice(0, 12));
      // The same question, spelt so that only the route understands it.
      assert.equal(await bytes(port, `/pod?%69p=${ip}`), hot, ip);
      assert.equal(await bytes(port, `http://podwhois/pod?ip=${ip}`), hot, ip);
      assert.equal(await bytes(port, `/pod?ip=${ip}&`), hot, ip);
    }
  }
  assert.deepEqual([...seen].sort(), ['HTTP/1.1 200', 'HTTP/1.1 400', 'HTTP/1.1 404', 'HTTP/1.1 409', 'HTTP/1.1 503']);
  states[0]?.();
  await fc.assert(
    fc.asyncProperty(fc.stringMatching(/^[0-9A-Fa-f.:]{1,45}$/), async (ip) => {
      assert.equal(await bytes(port, `/pod?%69p=${ip}`), await bytes(port, `/pod?ip=${ip}`));
    }),
    { numRuns: 100 },
  );
});

test('only the plainest form of the question is answered in front of the router', () => {
  const asked: string[] = [];
  const lookup = {
    byAddress: (address: string) => (asked.push(address), { status: 200, body: '{}' }),
    count: (decision: unknown) => decision,
  } as unknown as Lookup;
  const response = { writeHead: () => response, end: () => response } as unknown as ServerResponse;
  const hot = hotLookup(lookup, new Freshness(new FakeSource(), 1));
  const answered = (method: string, url: string): boolean =>
    hot({ method, url, httpVersionMajor: 1, headers: { host: 'x' } } as IncomingMessage, response);
  for (const ip of ['10.0.0.1', 'fd00::1', 'x:y'.replace(/[xy]/g, 'a')])
    assert.equal(answered('GET', `/pod?ip=${ip}`), true);
  assert.deepEqual(asked, ['10.0.0.1', 'fd00::1', 'a:a']);
  const others = [
    '/pod',
    '/pod?',
    '/pod?ip',
    '/pod?ip=',
    '/pods?ip=1',
    '/pod?ip=1&',
    '/pod?ip=1&wait=1s',
    '/pod?ip=1;ip=2',
    '/pod?ip=1#',
    '/pod?ip=%31',
    '/pod?ip=1+',
    '/pod/?ip=1',
    '/pod?uid=1',
    '/pod?ip=g',
    `/pod?ip=${'1'.repeat(46)}`,
    'http://x/pod?ip=1',
    '/POD?ip=1',
    '//pod?ip=1',
    '/pod?ip=1\n',
  ];
  for (const url of others) assert.equal(answered('GET', url), false, url);
  for (const method of ['HEAD', 'POST', 'OPTIONS', 'get'])
    assert.equal(answered(method, '/pod?ip=10.0.0.1'), false, method);
  assert.equal(asked.length, 3);
});
