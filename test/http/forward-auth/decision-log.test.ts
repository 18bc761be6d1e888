import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { DecisionLog } from '../../../src/http/forward-auth/decision-log.ts';
import type { DecidedPreflight } from '../../../src/http/forward-auth/decision-log.ts';
import type { Caller, DenyReason } from '../../../src/http/forward-auth/verdict.ts';
import { makePod } from '../../index/make-pod.ts';

type Timeless = Omit<DecidedPreflight, 'at'>;

function makeLog(
  level: string,
  audit = false,
): { decisions: { decided(what: Timeless): void }; lines: string[]; clock: { now: number } } {
  const lines: string[] = [];
  const clock = { now: 0 };
  const log = pino({ level }, { write: (line: string) => void lines.push(line) });
  const decisions = new DecisionLog({ log, audit });
  return { decisions: { decided: (what) => decisions.decided({ ...what, at: clock.now }) }, lines, clock };
}

const denied = (reason: DenyReason, given: Partial<Timeless> = {}, rule?: string): Timeless => ({
  verdict: { allow: false, reason, rule },
  peer: '10.0.0.9',
  client: '10.0.0.1',
  method: 'GET',
  host: 'shop.example',
  uri: '/cart',
  ...given,
});

const fieldsOf = (line = '{}'): Record<string, unknown> => JSON.parse(line) as Record<string, unknown>;

test('of each reason and rule at most one line a second is logged at info, with the number that was not', () => {
  const { decisions, lines, clock } = makeLog('info');
  for (let i = 0; i < 5; i++) decisions.decided(denied('not-allowed', {}, 'monitoring'));
  decisions.decided(denied('not-allowed', {}, 'another'));
  decisions.decided(denied('no-pod'));
  assert.deepEqual(
    lines.map((line) => [fieldsOf(line)['reason'], fieldsOf(line)['rule']]),
    [
      ['not-allowed', 'monitoring'],
      ['not-allowed', 'another'],
      ['no-pod', undefined],
    ],
  );
  clock.now = 999;
  decisions.decided(denied('not-allowed', {}, 'monitoring'));
  assert.equal(lines.length, 3);
  clock.now = 1000;
  decisions.decided(denied('not-allowed', {}, 'monitoring'));
  assert.equal(fieldsOf(lines[3])['suppressed'], 5);
  clock.now = 2000;
  decisions.decided(denied('not-allowed', {}, 'monitoring'));
  assert.equal(fieldsOf(lines[4])['suppressed'], undefined);
});

test('a clock that is set back does not silence the log until it has come back', () => {
  const { decisions, lines, clock } = makeLog('info');
  clock.now = 3_600_000;
  decisions.decided(denied('no-pod'));
  clock.now = 0;
  decisions.decided(denied('no-pod'));
  clock.now = 999;
  decisions.decided(denied('no-pod'));
  assert.equal(lines.length, 2);
});

test('at debug every denial is a line, once', () => {
  const { decisions, lines } = makeLog('debug');
  for (let i = 0; i < 5; i++) decisions.decided(denied('no-pod'));
  assert.deepEqual(
    lines.map((line) => fieldsOf(line)['level']),
    [30, 20, 20, 20, 20],
  );
});

test('a line holds who, what and why; not the query, and of hostile text a bounded piece on one line', () => {
  const { decisions, lines } = makeLog('info');
  decisions.decided(denied('ambiguous', { verdict: { allow: false, reason: 'ambiguous', detail: 'a/b, c/d' } }));
  const { reason, peer, client, method, host, path, detail } = fieldsOf(lines[0]);
  assert.deepEqual(
    [reason, peer, client, method, host, path, detail],
    ['ambiguous', '10.0.0.9', '10.0.0.1', 'GET', 'shop.example', '/cart', 'a/b, c/d'],
  );
  decisions.decided(
    denied('no-pod', {
      client: undefined,
      uri: `/a\n\u001b[2J\u202e${'x'.repeat(9000)}?token=hunter2`,
      host: 'h\n'.repeat(5000),
      method: 'M'.repeat(5000),
    }),
  );
  assert.doesNotMatch(lines[1] ?? '', /hunter2|\u202e/);
  assert.match(String(fieldsOf(lines[1])['path']), /^\/a\\u000a\\u001b\[2J\\u202ex+… \(9008 characters\)$/);
  assert.ok((lines[1] ?? '').length < 2500);
  assert.equal('client' in fieldsOf(lines[1]), false);
});

test('the peer is logged as TRUSTED_PROXIES has it', () => {
  const { decisions, lines } = makeLog('debug');
  for (const peer of ['::ffff:10.0.0.9', 'fe80::1%eth0', '']) decisions.decided(denied('untrusted-proxy', { peer }));
  assert.deepEqual(
    lines.map((line) => fieldsOf(line)['peer']),
    ['10.0.0.9', 'fe80::1%eth0', ''],
  );
});

test('an audit says that it let the request pass', () => {
  const { decisions, lines } = makeLog('info', true);
  decisions.decided(denied('no-pod'));
  assert.match(String(fieldsOf(lines[0])['msg']), /FORWARD_AUTH_AUDIT/);
});

test('of what passes at most one line a minute is logged for each rule, with the pod and the number that was not', () => {
  const { decisions, lines, clock } = makeLog('debug');
  const pod = makePod({ namespace: 'shop', name: 'web' });
  const allowed = (rule: string | undefined, caller: Caller = { kind: 'pod', ip: '10.0.0.1', pod }): Timeless => ({
    ...denied('no-pod'),
    verdict: { allow: true, caller, rule },
  });
  for (let i = 0; i < 5; i++) decisions.decided(allowed('monitoring'));
  decisions.decided(allowed(undefined));
  decisions.decided(allowed('the office', { kind: 'outside', ip: '203.0.113.5', reason: 'no-pod' }));
  clock.now = 59_999;
  decisions.decided(allowed('monitoring'));
  assert.deepEqual(
    lines.map((line) => [fieldsOf(line)['msg'], fieldsOf(line)['rule'], fieldsOf(line)['pod']]),
    [
      ['allowed', 'monitoring', 'shop/web'],
      ['allowed', undefined, 'shop/web'],
      ['allowed', 'the office', undefined],
    ],
  );
  clock.now = 60_000;
  decisions.decided(allowed('monitoring'));
  assert.equal(fieldsOf(lines[3])['suppressed'], 5);
});
