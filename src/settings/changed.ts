import { formatDuration } from '../duration.ts';
import type { Schema, Values } from './schema.ts';

/** The settings that differ from their default, as a log line may hold them: durations as they are written, never a secret. */
export function changedSettings<S extends Schema>(schema: S, settings: Values<S>): Record<string, unknown> {
  const changed: Record<string, unknown> = {};
  for (const [key, { variable, flag, fallback, secret }] of Object.entries(schema)) {
    const value: unknown = settings[key];
    if (value === fallback) continue;
    if (secret) changed[variable] = '(set)';
    else changed[variable] = flag.includes('<duration>') ? formatDuration(Number(value)) : shown(value);
  }
  return changed;
}

/** What was parsed to something with a `text`, like a network, is shown as that. */
function shown(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((one) => shown(one));
  return typeof value === 'object' && value !== null && 'text' in value ? value.text : value;
}
