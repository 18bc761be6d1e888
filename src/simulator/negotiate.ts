import type { Format } from './pod-version.ts';
import { notAcceptable } from './status.ts';

export type Representation = Format | 'table';

const AVAILABLE = [
  'application/json',
  'application/vnd.kubernetes.protobuf',
  'application/json;stream=watch',
  'application/vnd.kubernetes.protobuf;stream=watch',
];

/** What an Accept header wants most of what is offered. YAML is not offered; q-values are not read, as the real server sorts by order. */
export function negotiate(accept: string | undefined, offered: readonly Representation[]): Representation {
  for (const clause of (accept ?? '*/*').split(',')) {
    const [type = '', ...rest] = clause.split(';').map((part) => part.trim());
    const parameters = new Map(rest.map((parameter) => parameter.split('=', 2) as [string, string]));
    const as = parameters.get('as');
    const wanted: Representation | undefined =
      type === 'application/json' && as === 'Table'
        ? 'table'
        : as !== undefined
          ? undefined
          : type === 'application/vnd.kubernetes.protobuf'
            ? 'protobuf'
            : type === 'application/json' || type === '*/*' || type === 'application/*'
              ? 'json'
              : undefined;
    if (wanted && offered.includes(wanted)) return wanted;
  }
  throw notAcceptable(AVAILABLE.filter((type) => offered.includes('protobuf') || !type.includes('protobuf')));
}

export const CONTENT_TYPE: Readonly<Record<Format, string>> = {
  json: 'application/json',
  protobuf: 'application/vnd.kubernetes.protobuf',
};
