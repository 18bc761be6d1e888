import { escapeInDocument } from '../../terminal.ts';
import { renderExplanation } from './explanation-text.ts';
import type { Explanation, Question } from './explanation-text.ts';

export interface ExplainOptions {
  readonly question: Question;
  readonly format: 'text' | 'json';
  /** GET from a running podwhois. Throws what the process ends with when there is no such answer. */
  readonly get: <T>(path: string, isAnswer: (body: unknown) => body is T) => Promise<T>;
  readonly write: (text: string) => void;
}

/** `podwhois explain`: how a running podwhois would answer a preflight, and why. Returns the exit code: 0 allowed, 1 denied. */
export async function explain({ question, format, get, write }: ExplainOptions): Promise<number> {
  const { query, ...facts } = question;
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(facts)) if (value !== undefined) parameters.set(name, value);
  const constraints = query ? `&${query.replace(/^\?/, '')}` : '';
  const answer = await get(`explain?${parameters.toString()}${constraints}`, isExplanation);
  write(
    format === 'json' ? `${escapeInDocument(JSON.stringify(answer, null, 2))}\n` : renderExplanation(answer, question),
  );
  return answer.allow ? 0 : 1;
}

/** As much of it as the rendering needs. */
function isExplanation(body: unknown): body is Explanation {
  return (
    isRecord(body) &&
    typeof body['allow'] === 'boolean' &&
    isRecord(body['caller']) &&
    Array.isArray(body['rules']) &&
    body['rules'].every(isRecord)
  );
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
