import type { Families, Sample } from '../../metrics.ts';
import { DENIALS } from './verdict.ts';
import type { DenyReason } from './verdict.ts';

export type PreflightOutcome = 'allowed' | 'internal_error' | DenyReason;

export const FAMILIES = {
  preflights_total: {
    type: 'counter',
    help: 'Preflights, by what was decided, and by which rule; with FORWARD_AUTH_AUDIT what would have been',
    labels: {
      outcome: ['allowed', ...Object.keys(DENIALS), 'internal_error'],
      rule: 'the name of the rule that decided; empty where none did',
    },
  },
  forward_auth_file_valid: {
    type: 'gauge',
    help: '1 while the file is as it should be; 0 while what it said before is in use',
    labels: { file: ['rules', 'keys'] },
  },
  forward_auth_reloads_total: {
    type: 'counter',
    help: 'Changes of the file that were read',
    labels: { file: ['rules', 'keys'], result: ['ok', 'failed'] },
  },
} as const satisfies Families;

/** How often what was decided. Rules are counted while they are in the file: no caller can add a name. */
export class PreflightCounts {
  readonly #byRule = new Map<string, Map<PreflightOutcome, { count: number }>>();

  add(outcome: PreflightOutcome, rule = ''): void {
    let outcomes = this.#byRule.get(rule);
    if (outcomes === undefined) this.#byRule.set(rule, (outcomes = new Map()));
    const known = outcomes.get(outcome);
    if (known) known.count++;
    else outcomes.set(outcome, { count: 1 });
  }

  /** Forgets the rules that are none of these. */
  keep(rules: readonly string[]): void {
    const names = new Set(rules);
    for (const rule of this.#byRule.keys()) if (rule !== '' && !names.has(rule)) this.#byRule.delete(rule);
  }

  *samples(): Iterable<Sample> {
    for (const [rule, outcomes] of this.#byRule) {
      for (const [outcome, { count }] of outcomes) yield [[outcome, rule], count];
    }
  }
}
