import type { DEMO } from '../settings.ts';
import type { Values } from '../settings/schema.ts';

export function demo(_settings: Values<typeof DEMO>, _edge: unknown): Promise<number> {
  return Promise.reject(new Error('not composed yet'));
}
