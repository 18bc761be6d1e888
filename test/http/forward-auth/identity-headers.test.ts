import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Pod } from '../../../src/pod.ts';
import { IDENTITY, Identities } from '../../../src/http/forward-auth/identity-headers.ts';
import type { Identity } from '../../../src/http/forward-auth/identity-headers.ts';
import { makePod } from '../support/pods.ts';

const NAMES = {
  name: 'X-Pod-Name',
  namespace: 'X-Pod-Namespace',
  uid: 'X-Pod-Uid',
  ip: 'X-Pod-Ip',
  node: 'X-Pod-Node',
  'service-account': 'X-Pod-Service-Account',
  workload: 'X-Pod-Workload',
};

const identify = (given: Partial<Pod>, ip = '10.0.0.1'): Identity | undefined =>
  new Identities(NAMES).of({ kind: 'pod', ip, pod: makePod('web-1', { podIps: [ip], ...given }) });

const valueOf = (given: Partial<Pod>, key: (typeof IDENTITY)[number]): string | undefined =>
  identify(given)?.values[IDENTITY.indexOf(key)];

test('E4: every header is there, in order, under its name', () => {
  assert.deepEqual(
    identify({ namespace: 'shop', serviceAccount: 'cart' })?.headers.join(' '),
    'X-Pod-Name web-1 X-Pod-Namespace shop X-Pod-Uid uid-web-1 X-Pod-Ip 10.0.0.1 X-Pod-Node worker-1 ' +
      'X-Pod-Service-Account shop/cart X-Pod-Workload shop/Deployment/web',
  );
});

test('E4: what does not exist is "-", and a bare pod is its own workload', () => {
  const headers = new Identities(NAMES);
  const outside = headers.of({ kind: 'outside', ip: '203.0.113.1', reason: 'no-pod' });
  assert.deepEqual(
    outside?.values,
    IDENTITY.map(() => '-'),
  );
  assert.equal(valueOf({ nodeName: '' }, 'node'), '-');
  assert.equal(valueOf({ serviceAccount: '' }, 'service-account'), '-');
  assert.equal(valueOf({ workload: undefined, owner: undefined }, 'workload'), 'default/Pod/web-1');
});

test('E4: an owner that claims to be a pod lends nobody the name of another', () => {
  assert.equal(valueOf({ workload: { kind: 'Pod', name: 'web-2', source: 'owner' } }, 'workload'), 'default/Pod/web-1');
});

test('E4: a hostile value is encoded, so that it is read back as it was and as nothing else', () => {
  const workload = (kind: string, name: string): string | undefined =>
    valueOf({ workload: { kind, name, source: 'owner' } }, 'workload');
  assert.equal(workload('Deployment', 'a b'), 'default/Deployment/a%20b');
  assert.equal(workload('Deployment', 'a\r\nX-Admin: yes'), 'default/Deployment/a%0D%0AX-Admin:%20yes');
  assert.equal(workload('Deployment/web', 'x'), 'default/Deployment%2Fweb/x');
  assert.equal(workload('Deployment', '%41'), 'default/Deployment/%2541');
  assert.equal(workload('Deployment', 'é🦭'), 'default/Deployment/%C3%A9%F0%9F%A6%AD');
  assert.equal(valueOf({ nodeName: '-' }, 'node'), '%2D', 'a name that reads like "there is none"');
});

test('E4: what cannot be sent is nobody, instead of half a caller', () => {
  assert.equal(identify({ nodeName: '\ud800' }), undefined);
  assert.equal(identify({ workload: { kind: 'Deployment', name: 'x'.repeat(1024), source: 'owner' } }), undefined);
  assert.equal(identify({ nodeName: 'é'.repeat(200) }), undefined, 'counted as it would be sent');
  assert.equal(identify({ workload: { kind: '', name: 'x', source: 'owner' } }), undefined);
  assert.ok(identify({ nodeName: 'x'.repeat(1024) }));
});

test('E4: an owner with a name of a megabyte takes no time, however often its pod calls', () => {
  const workload = { kind: 'Deployment', name: 'é'.repeat(500_000), source: 'owner' } as const;
  const began = performance.now();
  for (let i = 0; i < 100; i++) assert.equal(identify({ workload }), undefined);
  // Encoded, one of them takes half a second.
  assert.ok(performance.now() - began < 5_000);
});

test('E4: whatever a pod holds, all headers are visible ASCII, never empty, and decode to what was there', () => {
  const text = fc.string({ unit: 'binary', maxLength: 40 });
  fc.assert(
    fc.property(text, text, text, text, (nodeName, serviceAccount, kind, name) => {
      const identity = identify({ nodeName, serviceAccount, workload: { kind, name, source: 'owner' } });
      if (!identity) return assert.ok(kind === '' || name === '');
      assert.equal(identity.values.length, IDENTITY.length);
      for (const value of identity.values) assert.match(value, /^[!-~]{1,1024}$/);
      const decoded = (key: (typeof IDENTITY)[number]): string[] =>
        (identity.values[IDENTITY.indexOf(key)] ?? '').split('/').map(decodeURIComponent);
      assert.deepEqual(decoded('workload'), ['default', kind, kind === 'Pod' ? 'web-1' : name]);
      assert.deepEqual(decoded('node'), [nodeName || '-']);
      assert.deepEqual(decoded('service-account'), serviceAccount ? ['default', serviceAccount] : ['-']);
    }),
  );
});

test('the headers of a record that calls again and again are made once, and anew for another address or record', () => {
  const headers = new Identities(NAMES);
  const pod = makePod('web-1', { podIps: ['10.0.0.1', 'fd00::1'] });
  const made = Array.from({ length: 3 }, () => headers.of({ kind: 'pod', ip: '10.0.0.1', pod }));
  assert.equal(made[1], made[2]);
  for (let i = 0; i < 3; i++) {
    assert.equal(headers.of({ kind: 'pod', ip: 'fd00::1', pod })?.values[3], 'fd00::1');
    assert.equal(headers.of({ kind: 'pod', ip: '10.0.0.1', pod })?.values[3], '10.0.0.1');
  }
  // More than there are slots: some share the one of the address that is kept.
  for (let i = 0; i < 65_536; i++) {
    const ip = `10.1.${i >> 8}.${i & 255}`;
    assert.equal(headers.of({ kind: 'pod', ip, pod })?.values[3], ip);
  }
  const moved = makePod('web-1', { podIps: ['10.0.0.1'], nodeName: 'worker-2' });
  assert.equal(headers.of({ kind: 'pod', ip: '10.0.0.1', pod: moved })?.values[4], 'worker-2');
});
