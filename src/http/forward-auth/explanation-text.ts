import { oneLine } from '../../terminal.ts';

/** The answer of `/explain`; explain.ts makes it. */
export interface Explanation {
  readonly allow: boolean;
  readonly reason?: string;
  readonly meaning?: string;
  readonly rule?: string;
  readonly detail?: string;
  readonly caller: Readonly<Record<string, unknown>>;
  readonly constraints?: string;
  readonly rules: readonly RuleExplanation[];
}

interface RuleExplanation {
  readonly name?: unknown;
  readonly line?: unknown;
  /** What of its `match` does not fit; not there: it fits. */
  readonly mismatch?: unknown;
  /** Of each peer that was looked at: what of it the caller does not have, or null where it is the caller. */
  readonly peers?: unknown;
}

/** As the flags have it. */
export interface Question {
  readonly ip: string;
  readonly path?: string | undefined;
  readonly method?: string | undefined;
  readonly host?: string | undefined;
  readonly query?: string | undefined;
}

/** For people, line by line in the order of the decision; safe on a terminal. */
export function renderExplanation(explanation: Explanation, question: Question): string {
  const { ip, path, method, host, query } = question;
  const { rules } = explanation;
  const request = [
    `method ${method === undefined ? 'not said' : shown(method)}`,
    `host ${host === undefined ? 'not said' : shown(host)}`,
    `path ${path === undefined ? 'not said' : shown(path)}`,
  ];
  const lines = [`caller   ${shown(ip)}: ${whose(explanation.caller)}`, `request  ${request.join(', ')}`];
  if (query !== undefined) lines.push(`query    ${shown(query)}: ${holding(explanation)}`);
  for (const rule of rules) lines.push(`rule     ${ruleLine(rule)}`);
  return `${lines.join('\n')}\n\n${conclusion(explanation, question)}\n`;
}

/** A query that cannot be read, and callers that are no pod, are denied before the constraints are looked at. */
function holding({ constraints, reason = '', caller }: Explanation): string {
  if (constraints !== undefined) return `${shown(constraints)} does not hold`;
  return caller['kind'] === 'pod' && !['invalid-query', 'caller-query'].includes(reason) ? 'holds' : 'not looked at';
}

function whose({ kind, namespace, name, service_account: account, workload, reason }: Explanation['caller']): string {
  if (kind === 'pod') {
    return `the pod ${shown(namespace)}/${shown(name)}, service account ${shown(account)}, workload ${shown(workload)}`;
  }
  return kind === 'outside' ? `no pod (${shown(reason)})` : `not certain (${shown(reason)})`;
}

function ruleLine({ name, line, mismatch, peers }: RuleExplanation): string {
  const head = `"${shown(name)}" (line ${shown(line)})`;
  if (mismatch !== undefined) return `${head} does not fit: ${shown(mismatch)}`;
  const each = Array.isArray(peers)
    ? (peers as unknown[]).map((why, i) => `peer ${i + 1}: ${why === null ? 'yes' : `no, ${shown(why)}`}`)
    : [];
  return `${head} fits and decides; ${each.join('; ')}`;
}

function conclusion(explanation: Explanation, question: Question): string {
  const { allow, reason, rule, detail } = explanation;
  const by = rule === undefined ? '' : ` by the rule "${shown(rule)}"`;
  if (allow) return `allowed${by}`;
  return `denied${by}: ${shown(reason)} (${meaningOf(explanation, question)})${detail === undefined ? '' : `\n  ${shown(detail)}`}`;
}

/** What the proxy would have sent is here a flag, and the one that is missing has a name. */
function meaningOf({ reason, meaning, rules }: Explanation, question: Question): string {
  const fact = FACTS.find((one) => rules.at(-1)?.mismatch === `unknown ${one}`);
  if (reason !== 'unknown-request' || fact === undefined) return shown(meaning);
  return `the rule asks for a ${fact}: ${question[fact] === undefined ? 'give' : 'none can be read in'} --${fact}`;
}

const FACTS = ['method', 'host', 'path'] as const;

const shown = (value: unknown): string =>
  typeof value === 'string' ? oneLine(value, 500) : typeof value === 'number' ? String(value) : '-';
