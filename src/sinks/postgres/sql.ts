/** A name in SQL, whatever is in it. What needs quotes is refused by the settings' parsers where a person writes it. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

export const qualified = (schema: string | undefined, name: string): string =>
  schema === undefined ? quoted(name) : `${quoted(schema)}.${quoted(name)}`;
