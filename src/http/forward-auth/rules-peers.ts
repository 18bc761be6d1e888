import { canonicalIp, parseCidr } from '../../index/ip-address.ts';
import type { Cidr } from '../../index/ip-address.ts';
import { isLabelKey, isLabelValue, parseLabelSelector } from '../../label-selector.ts';
import type { LabelSelector } from '../../label-selector.ts';
import { parseServiceAccount, parseWorkload, SERVICE_ACCOUNT, WORKLOAD } from './names.ts';
import type { IpBlock, Peer } from './peers.ts';
import type { Place, RulesYaml } from './rules-yaml.ts';

/** What the rule around the peers says. */
export interface RuleContext {
  readonly namespace: string | undefined;
  /** Of the path; undefined where that could not be read, so that the peers are not blamed for it. */
  readonly captures: ReadonlyMap<string, number> | undefined;
}

export interface Allow {
  readonly peers: readonly Peer[];
  readonly usedCaptures: ReadonlySet<string>;
  readonly usesNamespace: boolean;
}

const FIELDS = ['namespaceSelector', 'podSelector', 'ipBlock', 'serviceAccount', 'workload', 'pod'] as const;

export function readAllow(yaml: RulesYaml, place: Place, rule: RuleContext): Allow | undefined {
  const items = yaml.items(place, 'allow must be a list of peers');
  if (!items) return undefined;
  if (items.length === 0)
    yaml.add(place, 'allow is empty: a rule that nobody passes is left out, and default: deny denies');
  const usedCaptures = new Set<string>();
  let usesNamespace = false;
  const peers = items.flatMap((item): Peer | [] => {
    const fields = yaml.fields(item, 'a peer', FIELDS);
    if (!fields) return [];
    const { ipBlock, pod, serviceAccount, workload, podSelector, namespaceSelector } = fields;
    if (ipBlock) {
      if (Object.keys(fields).length > 1) yaml.add(item, 'ipBlock stands alone: it is for callers that are no pods');
      const block = readIpBlock(yaml, ipBlock);
      return block ? { ipBlock: block } : [];
    }
    if (Object.keys(fields).length === 0) {
      // An unknown field has been reported, and may be the one that was meant.
      yaml.add(item, `a peer that asks nothing matches nothing: use ${FIELDS.join(', ')}`);
      return [];
    }
    // Rule E6: a podSelector that stands alone is about the rule's own namespace.
    const isAlone = podSelector && !namespaceSelector && !serviceAccount && !workload && !pod;
    if (isAlone) usesNamespace = true;
    if (isAlone && rule.namespace === undefined) {
      yaml.add(
        podSelector,
        "podSelector alone means the rule's own namespace: give the rule one (namespace: shop), or the peer a namespaceSelector ({} for all namespaces)",
      );
    }
    return {
      pods: {
        namespace: isAlone ? rule.namespace : undefined,
        namespaceSegment: pod && readPod(yaml, pod, rule.captures, usedCaptures),
        serviceAccount:
          serviceAccount && readWith(yaml, serviceAccount, 'serviceAccount', parseServiceAccount, SERVICE_ACCOUNT),
        workload: workload && readWith(yaml, workload, 'workload', parseWorkload, WORKLOAD),
        podSelector: podSelector && readSelector(yaml, podSelector, 'podSelector'),
        namespaceSelector: namespaceSelector && readSelector(yaml, namespaceSelector, 'namespaceSelector'),
      },
    };
  });
  return { peers, usedCaptures, usesNamespace };
}

function readWith<T>(
  yaml: RulesYaml,
  place: Place,
  what: string,
  parse: (text: string) => T | undefined,
  expected: string,
): T | undefined {
  const text = yaml.text(place, what);
  const value = text === undefined ? undefined : parse(text);
  if (text !== undefined && value === undefined)
    yaml.add(place, `${what} ${JSON.stringify(text)}: must be ${expected}`);
  return value;
}

function readPod(
  yaml: RulesYaml,
  place: Place,
  captures: ReadonlyMap<string, number> | undefined,
  used: Set<string>,
): number | undefined {
  const fields = yaml.fields(place, 'pod', ['sameNamespaceAs']);
  const field =
    fields &&
    yaml.required(place, fields.sameNamespaceAs, 'sameNamespaceAs is missing: must be a capture, like "{namespace}"');
  const text = field && yaml.text(field, 'sameNamespaceAs');
  if (!field || text === undefined) return undefined;
  if (captures === undefined) return undefined;
  const name = /^\{(.*)\}$/s.exec(text)?.[1] ?? '';
  const segment = captures.get(name);
  if (segment === undefined) {
    const known = [...captures.keys()].map((capture) => `"{${capture}}"`).join(', ');
    const expected = known || 'and it has none; a path with one is "/fn/{namespace}/**"';
    yaml.add(field, `sameNamespaceAs ${JSON.stringify(text)}: must be a capture of the rule's path, ${expected}`);
  } else used.add(name);
  return segment;
}

function readIpBlock(yaml: RulesYaml, place: Place): IpBlock | undefined {
  const fields = yaml.fields(place, 'ipBlock', ['cidr', 'except']);
  const field = fields && yaml.required(place, fields.cidr, 'cidr is missing: must be a network, like 203.0.113.0/24');
  const cidr = field && readCidr(yaml, field, 'cidr');
  const items = fields?.except && yaml.items(fields.except, 'except must be a list of networks within cidr');
  const except = items?.flatMap((item) => {
    const hole = readCidr(yaml, item, 'except');
    if (!hole) return [];
    if (cidr && !isWithin(hole, cidr))
      yaml.add(item, `except ${hole.text} must lie within ${cidr.text}, and be smaller`);
    return hole;
  });
  return cidr && { cidr, except: except ?? [] };
}

function readCidr(yaml: RulesYaml, place: Place, what: string): Cidr | undefined {
  const text = yaml.text(place, what);
  if (text === undefined) return undefined;
  const cidr = parseCidr(text);
  const [address = ''] = text.split('/');
  if (!cidr) {
    const single = canonicalIp(text);
    const hint =
      single === undefined ? ', like 203.0.113.0/24' : `: ${single}/${single.includes(':') ? 128 : 32} for one address`;
    yaml.add(place, `${what} ${JSON.stringify(text)}: must be a network${hint}`);
  } else if (canonicalIp(address) !== networkOf(cidr)) {
    // 203.0.113.66/24 may be meant as one address, and would let 256 pass.
    yaml.add(place, `${what} ${JSON.stringify(text)}: has bits behind its prefix; the network is ${cidr.text}`);
  }
  return cidr;
}

const networkOf = ({ text }: Cidr): string => text.slice(0, text.indexOf('/'));
const lengthOf = ({ text }: Cidr): number => Number(text.slice(text.indexOf('/') + 1));

/** As NetworkPolicy wants it: a real part. */
const isWithin = (part: Cidr, whole: Cidr): boolean =>
  whole.contains(networkOf(part)) && lengthOf(part) > lengthOf(whole);

/**
 * A LabelSelector object, read as Kubernetes does (metav1.LabelSelectorAsSelector): all labels and expressions must hold, none
 * selects everything, NotIn and DoesNotExist hold where the key is absent. Written as the text it means, and read as any other.
 */
function readSelector(yaml: RulesYaml, place: Place, what: string): LabelSelector | undefined {
  const fields = yaml.fields(place, `${what} ({} selects all)`, ['matchLabels', 'matchExpressions']);
  if (!fields) return undefined;
  const labels = fields.matchLabels && yaml.entries(fields.matchLabels, 'matchLabels must be a map of labels');
  const requirements = (labels ?? []).map(({ key, offset, value }) => {
    if (!isLabelKey(key)) yaml.add({ offset }, `${JSON.stringify(key)} is not a label key`);
    return `${key}=${readLabelValue(yaml, value) ?? ''}`;
  });
  const expressions = fields.matchExpressions && yaml.items(fields.matchExpressions, 'matchExpressions must be a list');
  for (const expression of expressions ?? []) requirements.push(readExpression(yaml, expression) ?? '');
  const { selector, error } = parseLabelSelector(requirements.join(','));
  // What was wrong above is not said twice; but without a selector the peer would ask for less.
  if (error && yaml.problems.length === 0) yaml.add(place, `${what}: ${error.message}`);
  return selector;
}

const OPERATORS = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const;

function readExpression(yaml: RulesYaml, place: Place): string | undefined {
  const fields = yaml.fields(place, 'an expression', ['key', 'operator', 'values']);
  if (!fields) return undefined;
  const keyField = yaml.required(place, fields.key, 'key is missing: must be a label key');
  const key = keyField && yaml.text(keyField, 'key');
  if (keyField && key !== undefined && !isLabelKey(key))
    yaml.add(keyField, `${JSON.stringify(key)} is not a label key`);
  const operatorField = yaml.required(place, fields.operator, `operator is missing: must be ${OPERATORS.join(', ')}`);
  const text = operatorField && yaml.text(operatorField, 'operator');
  if (!operatorField || text === undefined) return undefined;
  const operator = OPERATORS.find((name) => name === text);
  if (operator === undefined) {
    yaml.add(operatorField, `operator ${JSON.stringify(text)}: must be ${OPERATORS.join(', ')}`);
    return undefined;
  }
  const items = fields.values && yaml.items(fields.values, 'values must be a list of label values');
  const values = items?.map((item) => readLabelValue(yaml, item) ?? '').join(',');
  if (operator === 'In' || operator === 'NotIn') {
    if (!fields.values || items?.length === 0) yaml.add(fields.values ?? place, `${operator} needs values`);
    return `${key} ${operator === 'In' ? 'in' : 'notin'} (${values})`;
  }
  if (fields.values && items?.length !== 0) yaml.add(fields.values, `${operator} takes no values`);
  return operator === 'Exists' ? key : `!${key}`;
}

function readLabelValue(yaml: RulesYaml, place: Place): string | undefined {
  const text = yaml.text(place, 'a label value');
  if (text !== undefined && !isLabelValue(text)) yaml.add(place, `${JSON.stringify(text)} is not a label value`);
  return text;
}
