import { slotOf } from './shared.ts';

const keys = new Map<string, string>();

function quotedKey(key: string): string {
  let quoted = keys.get(key);
  if (quoted === undefined) {
    if (keys.size > 10_000) keys.clear();
    quoted = `${JSON.stringify(key)}:`;
    keys.set(key, quoted);
  }
  return quoted;
}

/** JSON.stringify for plain API objects, which encodes shared parts once. `undefined` members are left out. */
export function encodeJson(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const slot = slotOf(value);
  if (slot) return (slot.json ??= JSON.stringify(value));
  let text = '';
  if (Array.isArray(value)) {
    for (const element of value) text += text === '' ? encodeJson(element) : `,${encodeJson(element)}`;
    return `[${text}]`;
  }
  for (const key in value) {
    const member = (value as Record<string, unknown>)[key];
    if (member === undefined) continue;
    text += `${text === '' ? '' : ','}${quotedKey(key)}${encodeJson(member)}`;
  }
  return `{${text}}`;
}
