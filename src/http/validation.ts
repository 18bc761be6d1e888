import { Problem } from './problem.ts';

interface ValidationError {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: object;
  readonly message: string;
}

/** The first thing that is wrong with a query or a body, in words. */
export function explain(errors: readonly ValidationError[], part: string | undefined): Problem {
  const error = errors.find(({ keyword }) => keyword === 'additionalProperties') ?? nearest(errors);
  return new Problem('invalid_request', error ? sentence(error, part === 'body') : 'malformed');
}

/** Of what may be one of several it says first that it is not the first of them: what is wrong inside of another one says more. */
function nearest(errors: readonly ValidationError[]): ValidationError | undefined {
  const [first] = errors;
  const union = errors.find(({ keyword }) => keyword === 'anyOf');
  const isInside = ({ keyword, instancePath }: ValidationError): boolean =>
    keyword !== 'anyOf' && (keyword !== 'type' || instancePath !== union?.instancePath);
  return union && first ? (errors.find(isInside) ?? { ...first, message: eitherOf(errors) }) : first;
}

/** The types that a value is none of. */
const eitherOf = (errors: readonly ValidationError[]): string =>
  `must be ${errors.flatMap(({ keyword, params }) => (keyword === 'type' ? String((params as { type: unknown }).type) : [])).join(' or ')}`;

function sentence({ keyword, instancePath, params, message }: ValidationError, inBody: boolean): string {
  if (keyword === 'additionalProperties') {
    const [unknown] = (params as { additionalProperties: readonly string[] }).additionalProperties;
    return `${inBody ? 'body: unknown key' : 'unknown parameter'} ${JSON.stringify(String(unknown).slice(0, 64))}`;
  }
  const where = instancePath.slice(1).slice(0, 64);
  if (inBody) return `body${where === '' ? '' : `, ${where}`}: ${message}`;
  // A query's values are text, or a list of texts where a name stands twice.
  if (keyword === 'type') return `${where}: given more than once`;
  const { allowedValues } = params as { allowedValues?: readonly string[] };
  return `${where}: ${allowedValues ? `expected one of ${allowedValues.join(', ')}` : message}`;
}
