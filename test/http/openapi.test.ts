import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Compile } from 'typebox/compile';
import type { TSchema } from 'typebox';
import { ERROR_CODES } from '../../src/errors.ts';
import { makePod } from './support/pods.ts';
import { ask } from './support/raw.ts';
import { startService } from './support/service.ts';

type Json = Record<string, unknown>;

interface Document {
  openapi: string;
  info: Json;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Json> };
}

interface Operation {
  summary?: string;
  parameters?: { name: string; in: string; required: boolean; schema: Json; description?: string }[];
  requestBody?: { content: Record<string, { schema: Json }> };
  responses: Record<string, { description: string; headers: Json; content?: Record<string, { schema: Json }> }>;
}

const page = readFileSync(join(import.meta.dirname, '../../docs/http-api.md'), 'utf8');

const documentOf = async (port: number): Promise<Document> =>
  (await ask(port, '/openapi.json')).json as unknown as Document;

/** A schema with its references replaced, so that it stands alone. */
function resolved(schema: unknown, { components }: Document): unknown {
  if (Array.isArray(schema)) return schema.map((one) => resolved(one, { components } as Document));
  if (typeof schema !== 'object' || schema === null) return schema;
  const { $ref } = schema as { $ref?: string };
  if ($ref !== undefined) {
    const name = /^#\/components\/schemas\/(\w+)$/.exec($ref)?.[1] ?? '';
    assert.ok(components.schemas[name], `${$ref} leads nowhere`);
    return resolved(components.schemas[name], { components } as Document);
  }
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, resolved(value, { components } as Document)]),
  );
}

test('the OpenAPI document lists every path and method, each with its parameters and answers', async (t) => {
  const { port } = await startService(t);
  const document = await documentOf(port);
  assert.equal(document.openapi, '3.1.0');
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  assert.deepEqual(
    operations.map(({ path, method }) => `${method.toUpperCase()} ${path}`).sort((a, b) => a.localeCompare(b)),
    [
      ...[
        '/health',
        '/healthz',
        '/livez',
        '/metrics',
        '/openapi.json',
        '/pod',
        '/pods',
        '/pods/history',
        '/pods/stream',
        '/ready',
        '/readyz',
        '/whoami',
      ].map((path) => `GET ${path}`),
      'POST /pods/lookup',
    ],
  );
  for (const { path, operation } of operations) {
    assert.ok(operation.summary, path);
    assert.ok(operation.responses['200'] && operation.responses['default'], path);
    for (const [status, response] of Object.entries(operation.responses)) {
      assert.ok(response.description, `${path} ${status}`);
      assert.ok(
        response.headers['X-Podwhois-Age'] && response.headers['X-Podwhois-Resource-Version'],
        `${path} ${status}`,
      );
      assert.equal('Retry-After' in response.headers, status === '503', `${path} ${status}`);
      for (const { schema } of Object.values(response.content ?? {})) assert.ok(resolved(schema, document), path);
    }
    for (const parameter of operation.parameters ?? []) {
      assert.deepEqual([parameter.in, parameter.required], ['query', false], `${path} ${parameter.name}`);
    }
  }
});

test('the page of the HTTP interface lists the same paths and parameters', async (t) => {
  const { port } = await startService(t);
  const { paths } = await documentOf(port);
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, { parameters = [] }] of Object.entries(methods)) {
      assert.ok(page.includes(`${method.toUpperCase()} ${path}`), `docs/http-api.md does not name ${path}`);
      for (const { name } of parameters)
        assert.ok(page.includes(`\`${name}`), `docs/http-api.md does not name ${name} of ${path}`);
    }
  }
  for (const [, method, path] of page.matchAll(/`(GET|POST) (\/[a-z/.]*)/g)) {
    assert.ok(paths[path ?? '']?.[(method ?? '').toLowerCase()], `docs/http-api.md names ${method} ${path}`);
  }
});

test('real answers fit the schemas that the document gives for them', async (t) => {
  const pods = [
    makePod('a', { podIps: ['10.0.0.1'] }),
    makePod('b', { podIps: ['10.0.0.2'], owner: undefined, startedAt: undefined }),
    makePod('c', { podIps: ['10.0.0.2'] }),
  ];
  const { port, source } = await startService(t, { pods });
  const document = await documentOf(port);
  const check = async (target: string, options: Parameters<typeof ask>[2] = {}): Promise<void> => {
    const answer = await ask(port, target, options);
    const operation = document.paths[target.split('?')[0] ?? '']?.[(options.method ?? 'GET').toLowerCase()];
    const content = operation?.responses[String(answer.status)]?.content?.['application/json'];
    assert.ok(content, `${target}: ${answer.status} is not in the document`);
    const schema = strict(resolved(content.schema, document));
    assert.ok(
      Compile(schema as TSchema).Check(answer.json),
      `${target}: ${answer.body} does not fit ${JSON.stringify(schema)}`,
    );
  };
  const batch = { method: 'POST', headers: ['Content-Type: application/json'] };
  for (const state of [{}, { age: 200_000 }, { age: 1e9 }, { synced: false }]) {
    Object.assign(source, state);
    for (const ip of ['10.0.0.1', '10.0.0.2', '10.0.0.3', 'x']) await check(`/pod?ip=${ip}`);
    for (const target of [
      '/pod?uid=uid-b',
      '/pod',
      '/whoami',
      '/pods?limit=1',
      '/pods?by=ip',
      '/pods?ip=x',
      '/pods?label_selector=(',
    ])
      await check(target);
    for (const target of [
      '/health?verbose',
      '/healthz',
      '/livez',
      '/ready?verbose',
      '/readyz',
      '/ready?x',
      '/openapi.json',
    ])
      await check(target);
    await check('/pods/lookup', { ...batch, body: '{"ips":["10.0.0.1","10.0.0.2","10.0.0.3","x"]}' });
    await check('/pods/lookup', { ...batch, body: '{' });
    await check('/pods/lookup', { ...batch, body: 'x'.repeat(100_000) });
    await check('/pods/lookup', { method: 'POST', body: 'x' });
  }
});

/** No keys but those the schema names. */
function strict(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strict);
  if (typeof schema !== 'object' || schema === null) return schema;
  const { properties } = schema as { properties?: object };
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, strict(value)]));
  return properties && Object.keys(properties).length > 0 ? { ...inner, additionalProperties: false } : inner;
}

test('every error code is documented for some route', async (t) => {
  const { port } = await startService(t);
  const { paths } = await documentOf(port);
  const text = JSON.stringify(paths);
  const missing = ERROR_CODES.filter((code) => !text.includes(code));
  assert.deepEqual(missing, []);
});
