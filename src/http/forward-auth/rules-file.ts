import { isUnsafe } from '../../terminal.ts';
import { isNamespace, NAMESPACE } from './names.ts';
import { createPolicy } from './policy.ts';
import type { Policy, Rule } from './policy.ts';
import { methodsOf, nearestMethod, parseHostPattern } from './request-match.ts';
import type { HostPattern, RequestMatch } from './request-match.ts';
import { parsePathPattern } from './request-path.ts';
import type { PathPattern } from './request-path.ts';
import { readAllow } from './rules-peers.ts';
import { RulesYaml } from './rules-yaml.ts';
import type { FileProblem, Place } from './rules-yaml.ts';

/** More is not written by hand, and each costs every decision some nanoseconds. */
const MAX_RULES = 1000;

/** A rules file's meaning, or all that is wrong with it, in the order of the file. */
export type CompiledRules =
  | { readonly policy: Policy; readonly problems?: undefined }
  | { readonly problems: readonly FileProblem[]; readonly policy?: undefined };

/**
 * Compiles a rules file. Whatever could let more callers pass than was meant is an error: unknown fields, empty lists, selectors
 * without a namespace, captures that nobody compares. Never throws; whatever it is given, it is done in about a second.
 */
export function compileRules(source: string | Uint8Array): CompiledRules {
  const yaml = new RulesYaml();
  const root = yaml.read(source);
  const policy = root && readPolicy(yaml, root);
  return policy && yaml.problems.length === 0 ? { policy } : { problems: yaml.inOrder() };
}

function readPolicy(yaml: RulesYaml, root: Place): Policy | undefined {
  const fields = yaml.fields(root, 'a rules file', ['rules', 'default']);
  if (!fields) return undefined;
  const fallback = fields.default ? yaml.text(fields.default, 'default') : 'deny';
  if (fields.default && fallback !== undefined && fallback !== 'deny' && fallback !== 'identify') {
    yaml.add(fields.default, 'default must be deny, or identify: every pod that is known for certain passes');
  }
  const field = yaml.required(root, fields.rules, 'rules is missing: must be a list of rules, [] for none');
  const places = field && yaml.items(field, 'rules must be a list of rules');
  if (!places) return undefined;
  const [excess] = places.slice(MAX_RULES);
  if (excess) yaml.add(excess, 'at most 1,000 rules');
  const lines = new Map<string, number>();
  const rules = places.slice(0, MAX_RULES).flatMap((place) => readRule(yaml, place, lines) ?? []);
  return createPolicy(rules, fallback === 'identify' ? 'identify' : 'deny');
}

/** `lines`: where each name stands already. */
function readRule(yaml: RulesYaml, place: Place, lines: Map<string, number>): Rule | undefined {
  const fields = yaml.fields(place, 'a rule', ['name', 'match', 'namespace', 'allow']);
  if (!fields) return undefined;
  const line = yaml.lineOf(place);
  const nameField = yaml.required(place, fields.name, 'name is missing: must be text, which logs and metrics show');
  const name = nameField && readName(yaml, nameField, lines);
  const matchField = yaml.required(place, fields.match, 'match is missing: must be a map, {} for every request');
  const match = matchField && readMatch(yaml, matchField);
  const namespace = fields.namespace && readNamespace(yaml, fields.namespace);
  const allowField = yaml.required(place, fields.allow, 'allow is missing: must be a list of peers');
  const captures = match && (match.path?.captures ?? new Map<string, number>());
  const allow = allowField && readAllow(yaml, allowField, { namespace, captures });
  if (allow && matchField && match?.path) reportUnused(yaml, matchField, match.path, allow.usedCaptures);
  if (allow && fields.namespace && !allow.usesNamespace) {
    yaml.add(
      fields.namespace,
      'namespace is for a podSelector without namespaceSelector, and there is none: leave it out',
    );
  }
  return name !== undefined && match && allow ? { name, line, match, allow: allow.peers } : undefined;
}

function reportUnused(yaml: RulesYaml, match: Place, { captures }: PathPattern, used: ReadonlySet<string>): void {
  for (const name of captures.keys()) {
    if (!used.has(name)) {
      yaml.add(match, `no peer compares {${name}}: write pod: { sameNamespaceAs: "{${name}}" }, or * in the path`);
    }
  }
}

function readName(yaml: RulesYaml, place: Place, lines: Map<string, number>): string | undefined {
  const name = yaml.text(place, 'name');
  if (name === undefined) return undefined;
  const before = lines.get(name);
  if (name === '' || name.length > 100 || name !== name.trim() || isUnsafe(name)) {
    yaml.add(place, 'name must be 1 to 100 visible characters');
  } else if (before !== undefined) {
    yaml.add(place, `the rule in line ${before} has the same name: each needs its own`);
  } else {
    lines.set(name, yaml.lineOf(place));
  }
  return name;
}

function readNamespace(yaml: RulesYaml, place: Place): string | undefined {
  const name = yaml.text(place, 'namespace');
  if (name !== undefined && !isNamespace(name)) yaml.add(place, `namespace must be ${NAMESPACE}`);
  return name;
}

function readMatch(yaml: RulesYaml, place: Place): RequestMatch | undefined {
  const fields = yaml.fields(place, 'match ({} for every request)', ['path', 'host', 'methods']);
  if (!fields) return undefined;
  const pathText = fields.path && yaml.text(fields.path, 'path');
  const path = pathText === undefined ? undefined : parsePathPattern(pathText);
  if (fields.path && typeof path === 'string') yaml.add(fields.path, `path ${JSON.stringify(pathText)}: ${path}`);
  const hostText = fields.host && yaml.text(fields.host, 'host');
  const host = hostText === undefined ? undefined : parseHostPattern(hostText);
  if (fields.host && typeof host === 'string') yaml.add(fields.host, `host ${JSON.stringify(hostText)}: ${host}`);
  const methods = fields.methods && readMethods(yaml, fields.methods);
  // Without the path it is not known what the peers may compare.
  if (fields.path && !isPattern(path)) return undefined;
  return { methods, host: isPattern(host) ? host : undefined, path: isPattern(path) ? path : undefined };
}

const isPattern = <T extends PathPattern | HostPattern>(parsed: T | string | undefined): parsed is T =>
  typeof parsed === 'object';

function readMethods(yaml: RulesYaml, place: Place): readonly string[] | undefined {
  const items = yaml.items(place, 'methods must be a list like [GET, POST]; leave it out for all methods');
  if (items?.length === 0) yaml.add(place, 'methods is empty: leave it out for all methods');
  return items?.flatMap((item) => {
    const text = yaml.text(item, 'a method');
    if (text === undefined) return [];
    const methods = methodsOf(text);
    if (methods) return methods;
    const meant = nearestMethod(text);
    yaml.add(item, `${JSON.stringify(text)} is no method${meant ? `: did you mean ${meant}?` : ', like GET or POST'}`);
    return [];
  });
}
