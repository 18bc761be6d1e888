import swagger from '@fastify/swagger';
import { ErrorAnswer, Pod } from './schemas.ts';
import type { App } from './parts.ts';

/** The OpenAPI document: made of the routes' own schemas, so that it cannot say anything else. */
export async function describe(app: App, version: string): Promise<void> {
  app.addSchema(Pod);
  app.addSchema(ErrorAnswer);
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'podwhois',
        description: 'Which pod has this IP? Answered from memory.',
        version,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/' }],
      components: {
        securitySchemes: {
          token: { type: 'http', scheme: 'bearer', description: 'one of LOOKUP_TOKEN_FILE, where set' },
        },
      },
      security: [{}, { token: [] }],
    },
    refResolver: { buildLocalReference: ({ $id }) => $id as string },
    transformObject: (document) => {
      const openapi = 'openapiObject' in document ? document.openapiObject : {};
      for (const path of Object.values(openapi.paths ?? {})) {
        for (const operation of Object.values(path ?? {})) addCommon(operation as Operation);
      }
      return openapi;
    },
  });
}

interface Operation {
  operationId?: string;
  responses?: Record<string, { description?: string; headers?: object; content?: object }>;
}

/** What every answer carries, and every route may answer. */
function addCommon(operation: Operation): void {
  const responses = (operation.responses ??= {});
  responses['default'] ??= {
    description:
      'what any request may be answered: unauthorized, request_timeout, url_too_long, headers_too_large, internal_error, ...',
    content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
  };
  for (const [status, response] of Object.entries(responses)) {
    response.headers = {
      ...response.headers,
      ...COMMON_HEADERS,
      ...(status === '503' && { 'Retry-After': { description: 'seconds', schema: { type: 'integer' } } }),
    };
  }
}

const COMMON_HEADERS = {
  'X-Podwhois-Age': {
    description: 'seconds since the index was proven fresh; Infinity until the cluster has been read',
    schema: { type: 'string', examples: ['1.250'] },
  },
  'X-Podwhois-Resource-Version': {
    description: 'the resource version the index has reached; 0 until the cluster has been read',
    schema: { type: 'string', pattern: '^(0|[1-9][0-9]*)$' },
  },
  'Cache-Control': { schema: { type: 'string', const: 'no-store' } },
};
