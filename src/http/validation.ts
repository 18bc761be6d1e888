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

/**
 * Of the first value that is wrong: one that may be of several kinds is said not to be the first of them, and what is wrong inside of it as another kind
 * says more.
 */
function nearest(errors: readonly ValidationError[]): ValidationError | undefined {
  const [first] = errors;
  const end = errors.findIndex(({ keyword }) => keyword === 'anyOf');
  const union = errors[end];
  const own = errors.slice(0, end).filter(({ instancePath }) => isWithin(instancePath, union?.instancePath));
  if (!first || !union || own[0] !== first) return first;
  const isInside = ({ keyword, instancePath }: ValidationError): boolean =>
    keyword !== 'type' || instancePath !== union.instancePath;
  return own.find(isInside) ?? { ...first, message: `must be ${own.map(typeOf).join(' or ')}` };
}

const isWithin = (path: string, outer = ''): boolean => path === outer || path.startsWith(`${outer}/`);

const typeOf = ({ params }: ValidationError): string => String((params as { type: unknown }).type);

function sentence({ keyword, instancePath, params, message }: ValidationError, inBody: boolean): string {
  if (keyword === 'additionalProperties') {
    const [unknown] = (params as { additionalProperties: readonly string[] }).additionalProperties;
    const name = JSON.stringify(String(unknown).slice(0, 64));
    return inBody ? `${inBodyAt(instancePath)}: unknown key ${name}` : `unknown parameter ${name}`;
  }
  if (inBody) return `${inBodyAt(instancePath)}: ${message}`;
  const where = instancePath.slice(1, 65);
  // A query's values are text, or a list of texts where a name stands twice.
  if (keyword === 'type') return `${where}: given more than once`;
  const { allowedValues } = params as { allowedValues?: readonly string[] };
  return `${where}: ${allowedValues ? `expected one of ${allowedValues.join(', ')}` : message}`;
}

const inBodyAt = (path: string): string => (path === '' ? 'body' : `body, ${path.slice(1, 65)}`);
