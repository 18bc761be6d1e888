import type { Format } from './object-version.ts';
import { notAcceptable } from './status.ts';

/** What is made of objects for who asks for it (`as=`). */
export type Transform = 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList';

export interface Representation {
  readonly format: Format;
  readonly as: Transform | undefined;
}

const AVAILABLE = [
  'application/json',
  'application/vnd.kubernetes.protobuf',
  'application/json;stream=watch',
  'application/vnd.kubernetes.protobuf;stream=watch',
];

const FORMATS: Readonly<Record<string, Format>> = {
  'application/vnd.kubernetes.protobuf': 'protobuf',
  'application/json': 'json',
  'application/*': 'json',
  '*/*': 'json',
};

/**
 * What an Accept header wants most of what is offered. YAML is not offered; q-values are not read, as the real server sorts by order.
 * A Table there is in JSON only.
 */
export function negotiate(
  accept: string | undefined,
  offered: { readonly formats: readonly Format[]; readonly transforms?: readonly Transform[] },
): Representation {
  const { formats, transforms = [] } = offered;
  for (const clause of (accept ?? '*/*').split(',')) {
    const [type = '', ...rest] = clause.split(';').map((part) => part.trim());
    const as = rest.find((parameter) => parameter.startsWith('as='))?.slice('as='.length);
    const transform = transforms.find((one) => one === as);
    const format = Object.hasOwn(FORMATS, type) ? FORMATS[type] : undefined;
    if (!format || !formats.includes(format) || transform !== as) continue;
    if (transform !== 'Table' || format === 'json') return { format, as: transform };
  }
  throw notAcceptable(AVAILABLE.filter((type) => formats.includes('protobuf') || !type.includes('protobuf')));
}

export const CONTENT_TYPE: Readonly<Record<Format, string>> = {
  json: 'application/json',
  protobuf: 'application/vnd.kubernetes.protobuf',
};
