import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makePod } from '../support/pods.ts';
import { ask } from '../support/raw.ts';
import { startForwardAuth } from './support/forward-auth.ts';
import { newKey } from './support/keys.ts';

interface Operation {
  readonly parameters?: readonly { readonly name: string }[];
  readonly responses: Readonly<
    Record<string, { readonly headers: Readonly<Record<string, unknown>>; readonly content?: object }>
  >;
}

type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>;

const pathsOf = async (port: number): Promise<Paths> => (await ask(port, '/openapi.json')).json['paths'] as Paths;

test('the OpenAPI document has the preflight, its headers, and what it may be answered', async (t) => {
  const { port } = await startForwardAuth(t, { environment: { FORWARD_AUTH_HEADERS: 'uid=X-Uid' } });
  const paths = await pathsOf(port);
  for (const path of ['/authorize', '/auth']) {
    const { get, ...others } = paths[path] ?? {};
    assert.ok(get);
    assert.deepEqual(others, {});
    const { parameters = [], responses } = get;
    assert.deepEqual(parameters.map(({ name }) => name).sort(), [
      'label_selector',
      'namespace',
      'namespace_selector',
      'node',
      'service_account',
      'workload',
    ]);
    assert.deepEqual(Object.keys(responses).sort(), ['200', '400', '403', '503', 'default']);
    const headers = Object.keys(responses['200']?.headers ?? {});
    for (const name of ['X-Pod-Name', 'X-Uid', 'X-Podwhois-Age']) assert.ok(headers.includes(name), name);
    assert.ok(!headers.includes('X-Pod-Token'));
  }
  assert.ok(paths['/explain']?.['get']);
  assert.equal(paths['/.well-known/jwks.json'], undefined);
});

test('with a key the document has the token and the keys', async (t) => {
  const { port } = await startForwardAuth(t, { keys: newKey() });
  const paths = await pathsOf(port);
  assert.ok('X-Pod-Token' in (paths['/authorize']?.['get']?.responses['200']?.headers ?? {}));
  assert.ok(paths['/.well-known/jwks.json']?.['get']);
});

test('with tokens for lookups the preflight and the keys are open, and what tells who is who is not', async (t) => {
  const { port } = await startForwardAuth(t, {
    keys: newKey(),
    pods: [makePod('web', { podIps: ['10.0.0.1'] })],
    tokens: { value: { accepts: () => false }, onChange: () => undefined },
  });
  for (const [path, status] of [
    ['/authorize?namespace=default', 200],
    ['/auth?namespace=default', 200],
    ['/.well-known/jwks.json', 200],
    ['/explain?ip=10.0.0.1', 401],
    ['/pod?ip=10.0.0.1', 401],
    ['/authorize/x', 401],
  ] as const) {
    assert.equal((await ask(port, path, { headers: ['X-Forwarded-For: 10.0.0.1'] })).status, status, path);
  }
});
