import assert from 'node:assert/strict';
import { test } from 'node:test';
import { preflightQuery } from '../../../src/http/forward-auth/preflight-target.ts';

test('a preflight is asked at exactly two paths, with a query or without', () => {
  for (const path of ['/authorize', '/auth', 'http://podwhois/authorize', 'HTTPS://podwhois:8080/auth']) {
    assert.equal(preflightQuery(path, false), '', path);
    assert.equal(preflightQuery(`${path}?`, false), '', path);
    assert.equal(preflightQuery(`${path}?namespace=a?b&c=%26`, false), 'namespace=a?b&c=%26', path);
  }
});

test('E3: any other spelling of a path is none, whatever a router would make of it', () => {
  for (const url of [
    '/',
    '',
    '*',
    '/pod?ip=1.2.3.4',
    '/authorized',
    '/authorize/',
    '/authorize/x',
    '/authorize;x',
    '/authorize#x',
    '/auth/x',
    '/autho',
    '/Authorize',
    '/%61uthorize',
    '//authorize',
    '/x/../authorize',
    '/x/authorize',
    'authorize',
    'http:/authorize',
    'http://authorize',
    'ftp://podwhois/authorize',
    'http://podwhois#/authorize',
    'http://podwhois?/authorize',
    '/explain?/authorize',
  ]) {
    assert.equal(preflightQuery(url, false), undefined, url);
  }
});

test('E3: where the proxy writes the path of the caller behind it, all that is below is a preflight, and no query is read', () => {
  for (const url of [
    '/authorize',
    '/authorize/',
    '/authorize/a/b',
    '/authorize//auth',
    '/authorize/a?namespace=b',
    '/auth?x',
  ]) {
    assert.equal(preflightQuery(url, true), '', url);
  }
  for (const url of ['/authorized', '/auth/x', '/authorize%2fx', '/x/authorize/']) {
    assert.equal(preflightQuery(url, true), undefined, url);
  }
});
