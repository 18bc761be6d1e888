/**
 * Fields of parsed JSON. What is absent or null is the API's default, as it is to Kubernetes; another type than the API's throws,
 * with the path of the field.
 */
export type JsonObject = Readonly<Record<string, unknown>>;

export const NOTHING: JsonObject = Object.freeze(Object.create(null) as JsonObject);
const NO_ITEMS: readonly unknown[] = Object.freeze([]);

export function record(value: unknown, path: string): JsonObject {
  if (value === undefined || value === null) return NOTHING;
  if (typeof value !== 'object' || Array.isArray(value)) throw new Error(`${path} is not an object`);
  return value as JsonObject;
}

export function list(value: unknown, path: string): readonly unknown[] {
  if (value === undefined || value === null) return NO_ITEMS;
  if (!Array.isArray(value)) throw new Error(`${path} is not a list`);
  return value as readonly unknown[];
}

export function text(value: unknown, path: string): string {
  if (typeof value === 'string') return value;
  if (value === undefined || value === null) return '';
  throw new Error(`${path} is not a text`);
}

export function boolean(value: unknown, path: string): boolean {
  if (typeof value === 'boolean') return value;
  if (value === undefined || value === null) return false;
  throw new Error(`${path} is not a boolean`);
}

export function integer(value: unknown, path: string): number {
  if (Number.isSafeInteger(value)) return value as number;
  if (value === undefined || value === null) return 0;
  throw new Error(`${path} is not an integer`);
}

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;

export function seconds(value: unknown, path: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  const time = typeof value === 'string' && RFC3339.test(value) ? Date.parse(value) : NaN;
  if (Number.isNaN(time)) throw new Error(`${path} is not a time`);
  return Math.floor(time / 1000);
}
