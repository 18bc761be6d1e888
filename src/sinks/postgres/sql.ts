import { escapeLiteral } from 'pg';

/** A name in SQL, whatever is in it. What needs quotes is refused by the settings' parsers where a person writes it. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

type Plain = string | number;

/** A statement with its parameters written into it, for what is sent without any. Elements of arrays are words: numbers, addresses. */
export const withValues = (statement: string, values: readonly (Plain | readonly Plain[])[]): string =>
  statement.replaceAll(/\$(\d+)/g, (_, number: string) => {
    const value = values[Number(number) - 1] ?? '';
    return escapeLiteral(typeof value === 'object' ? `{${value.join(',')}}` : String(value));
  });

export const qualified = (schema: string | undefined, name: string): string =>
  schema === undefined ? quoted(name) : `${quoted(schema)}.${quoted(name)}`;
