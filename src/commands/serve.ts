import type { Settings } from '../settings.ts';

export function serve(_settings: Settings): Promise<number> {
  return Promise.reject(new Error('not composed yet'));
}
