import { Type } from 'typebox';
import { sendJson } from '../answering.ts';
import type { App } from '../parts.ts';

/** `/openapi.json`. */
export function openapiRoutes(app: App): void {
  let text: string | undefined;
  app.get(
    '/openapi.json',
    { schema: { summary: 'This document', response: { 200: Type.Object({}, { additionalProperties: true }) } } },
    (_request, reply) => sendJson(reply, (text ??= JSON.stringify(app.swagger()))),
  );
}
