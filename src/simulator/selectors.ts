import type { NamespaceObject } from './namespace-object.ts';
import type { StoredObject } from './object-version.ts';
import type { PodObject } from './pod-object.ts';
import { badRequest } from './status.ts';

export type Matcher = (object: StoredObject) => boolean;

type Labels = Readonly<Record<string, string>>;

const own = (labels: Labels | undefined, key: string): string | undefined =>
  labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;

const NAME = '[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?';
const KEY = `(?:${NAME}/)?${NAME}`;
const REQUIREMENT = new RegExp(
  `^\\s*(?:(?<absent>!)\\s*(?<absentKey>${KEY})` +
    `|(?<key>${KEY})\\s*(?:(?<operator>=|==|!=|>|<)\\s*(?<value>[-A-Za-z0-9_.]*)` +
    `|\\s(?<set>in|notin)\\s*\\((?<values>[-A-Za-z0-9_.,\\s]*)\\))?)\\s*$`,
);

/** One requirement of a label selector, as a question to the labels. */
function labelRequirement(text: string): (labels: Labels | undefined) => boolean {
  const {
    absent,
    absentKey = '',
    key = '',
    operator,
    value = '',
    set,
    values = '',
  } = REQUIREMENT.exec(text)?.groups ?? {};
  if (absent) return (labels) => own(labels, absentKey) === undefined;
  if (key === '') throw badRequest(`unable to parse requirement: ${JSON.stringify(text)}`);
  if (set) {
    const wanted = new Set(values.split(',').map((one) => one.trim()));
    return (labels) => {
      const has = own(labels, key);
      return set === 'in' ? has !== undefined && wanted.has(has) : has === undefined || !wanted.has(has);
    };
  }
  switch (operator) {
    case undefined:
      return (labels) => own(labels, key) !== undefined;
    case '!=':
      return (labels) => own(labels, key) !== value;
    case '>':
    case '<': {
      if (!/^-?\d+$/.test(value))
        throw badRequest(
          `values[0][${key}]: Invalid value: ${JSON.stringify(value)}: for 'Gt', 'Lt' operators, the value must be an integer`,
        );
      return (labels) => {
        const has = own(labels, key);
        if (has === undefined || !/^-?\d+$/.test(has)) return false;
        return operator === '>' ? BigInt(has) > BigInt(value) : BigInt(has) < BigInt(value);
      };
    }
    default:
      return (labels) => own(labels, key) === value;
  }
}

/** A Kubernetes label selector: `a=b,c in (d,e),!f`. */
export function labelSelector(text: string): Matcher {
  if (text.trim() === '') return () => true;
  const requirements = text.split(/,(?![^(]*\))/).map(labelRequirement);
  return (object) => requirements.every((fits) => fits(object.metadata.labels));
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** By name, what objects of a kind can be selected by. */
export type Fields<T> = Readonly<Record<string, (object: T) => string>>;

/** What pods can be selected by (registry/core/pod: ToSelectableFields), as far as the simulator knows the fields. */
export const POD_FIELDS: Fields<PodObject> = {
  'metadata.name': (pod) => pod.metadata.name,
  'metadata.namespace': (pod) => pod.metadata.namespace,
  'spec.nodeName': (pod) => pod.spec.nodeName ?? '',
  'spec.restartPolicy': (pod) => text(pod.spec['restartPolicy']),
  'spec.schedulerName': (pod) => text(pod.spec['schedulerName']),
  'spec.serviceAccountName': (pod) => pod.spec.serviceAccountName ?? '',
  'spec.hostNetwork': (pod) => String(pod.spec.hostNetwork === true),
  'status.phase': (pod) => pod.status.phase,
  'status.podIP': (pod) => pod.status.podIPs?.[0]?.ip ?? pod.status.podIP ?? '',
  'status.nominatedNodeName': (pod) => text(pod.status['nominatedNodeName']),
};

export const NAMESPACE_FIELDS: Fields<NamespaceObject> = {
  'metadata.name': (namespace) => namespace.metadata.name,
  'status.phase': (namespace) => namespace.status.phase,
};

/** What every kind can be selected by; a kind without fields of its own refuses others in other words. */
export const ENDPOINT_SLICE_FIELDS: Fields<StoredObject> = {
  'metadata.name': (slice) => slice.metadata.name,
  'metadata.namespace': (slice) => slice.metadata.namespace ?? '',
};

export function fieldSelector<T extends StoredObject>(text: string, fields: Fields<T>): Matcher {
  const requirements = text
    .split(',')
    .filter((one) => one !== '')
    .map((one): ((object: T) => boolean) => {
      const [, name = '', operator, value] = /^(.*?)(!=|==|=)(.*)$/.exec(one) ?? [];
      if (operator === undefined) throw badRequest(`invalid selector: '${text}'; can't understand '${one}'`);
      const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
      if (!field && fields === ENDPOINT_SLICE_FIELDS)
        throw badRequest(
          `${JSON.stringify(name)} is not a known field selector: only "metadata.name", "metadata.namespace"`,
        );
      if (!field) throw badRequest(`field label not supported: ${name}`);
      return (object) => (field(object) === value) !== (operator === '!=');
    });
  return (object) => requirements.every((fits) => fits(object as T));
}
