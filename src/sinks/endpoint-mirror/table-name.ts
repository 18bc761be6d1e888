import { Wrong } from '../../settings/schema.ts';

/** The name of a table as SQL is to be told it: of the schema that the search path finds, where none is named. */
export interface TableName {
  readonly schema: string | undefined;
  readonly name: string;
  /** As documents and logs write it. */
  readonly text: string;
}

const PART = /^(?:"((?:[^"]|"")*)"|([A-Za-z_][A-Za-z0-9_]*))(?:\.|$)/;
const SAFE = /^[a-z_][a-z0-9_]{0,62}$/;
const EXPECTED =
  'a table, or schema.table: names of lower-case letters, digits and "_", up to 63 characters (without quotes, upper case is lower case, as in SQL)';

/**
 * Reads a name as Postgres would: without quotes upper case is folded, in quotes it is kept. What then is not plain is refused, though
 * all of it is quoted: a name that needs quotes is more likely a mistake, or somebody's attempt.
 */
export function tableName(text: string): TableName | Wrong {
  const parts: string[] = [];
  let rest = text;
  while (rest !== '' || text.endsWith('.')) {
    const [whole, quoted, plain] = PART.exec(rest) ?? [];
    const part = quoted ?? plain?.toLowerCase();
    if (whole === undefined || part === undefined || !SAFE.test(part)) return new Wrong(EXPECTED);
    parts.push(part);
    rest = rest.slice(whole.length);
    if (!whole.endsWith('.')) break;
  }
  const [first, second, ...more] = parts;
  if (rest !== '' || first === undefined || more.length > 0) return new Wrong(EXPECTED);
  const [schema, name] = second === undefined ? [undefined, first] : [first, second];
  return { schema, name, text: parts.join('.') };
}
