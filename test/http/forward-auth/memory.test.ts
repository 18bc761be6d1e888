import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QueryConstraints } from '../../../src/http/forward-auth/query-constraints.ts';
import { ask, podCaller, policyOf } from './policy-question.ts';
import { heapUsed } from '../../support/heap-used.ts';

/** As a socket gives it: a text of its own. */
const received = (text: string): string => Buffer.from(text).toString();

test('what is remembered of requests does not hold their headers, however long', () => {
  const match = { path: '/*', methods: ['GET'] };
  const policy = policyOf({ rules: [{ name: 'only', match, allow: [{ serviceAccount: 'shop/web' }] }] });
  const caller = podCaller();
  const before = heapUsed();
  for (let i = 0; i < 3000; i++) {
    const long = 'x'.repeat(14_000);
    ask({ policy, caller, facts: { method: 'GET', uri: received(`/segment-${i}-of-many/${long}`) } });
    ask({ policy, caller, facts: { method: received(`${long}${'y'.repeat(i % 512)}`), uri: `/${i}` } });
  }
  const kept = heapUsed() - before;
  assert.ok(kept < 2e6, `${kept} bytes`);
  assert.ok(policy.found.some((found) => found !== undefined));
});

test('constraints that are kept take little memory, however many somebody sends and however much is asked in them', () => {
  for (const part of ['&label_selector=a', '&node=a', ',a']) {
    const cache = new QueryConstraints();
    const before = heapUsed();
    for (let i = 0; i < 500; i++) {
      const query = `label_selector=n${i}${part.repeat(8000 / part.length)}`;
      assert.equal(cache.of(received(query)).error, undefined);
    }
    const kept = heapUsed() - before;
    assert.ok(kept < 6e6, `${part}: ${kept} bytes`);
    assert.notEqual(cache.of('node=a'), undefined);
  }
  const cache = new QueryConstraints();
  const before = heapUsed();
  for (let i = 0; i < 500; i++) cache.of(received(`http://${'h'.repeat(8000)}/authorize?namespace=n${i}`).slice(8018));
  const kept = heapUsed() - before;
  assert.ok(kept < 1e6, `of long URLs: ${kept} bytes`);
  assert.equal(cache.of('namespace=n499').error, undefined);
});
