import { isIP } from 'node:net';
import { formatDuration, parseDuration } from '../duration.ts';
import { isLabelKey, parseLabelSelector } from '../label-selector.ts';
import { oneLine } from '../terminal.ts';
import { Wrong } from './schema.ts';

/** Parsers of settings: text to a value, or to what would have been right. */
type Parser<T> = (text: string) => T | Wrong;

/** Digits only: no sign, no leading zero, no `8e3`, no `0x1f`. */
export function wholeNumber(least: number, most: number): Parser<number> {
  return (text) => {
    const value = /^(0|[1-9][0-9]{0,8})$/.test(text) ? Number(text) : NaN;
    return value >= least && value <= most ? value : new Wrong(`a whole number from ${least} to ${most}`);
  };
}

export function duration(least: number, most: number): Parser<number> {
  return (text) => {
    const ms = parseDuration(text);
    if (ms !== undefined && ms >= least && ms <= most) return ms;
    // Without a unit, or with one that is none, as in 30d.
    const unit = ms === undefined ? ' with its unit (h, m, s, ms)' : '';
    return new Wrong(`a duration${unit} from ${formatDuration(least)} to ${formatDuration(most)}`);
  };
}

/** Never "present means true". */
export const boolean: Parser<boolean> = (text) => {
  if (/^(true|1|yes|on)$/i.test(text)) return true;
  return /^(false|0|no|off)$/i.test(text) ? false : new Wrong('true or false');
};

export function oneOf<const T extends string>(...choices: readonly T[]): Parser<T> {
  return (text) => choices.find((choice) => choice === text.toLowerCase()) ?? new Wrong(`one of ${choices.join(', ')}`);
}

/** Comma-separated; empty parts are skipped, repeated ones dropped. */
export function list<T>(item: (text: string) => T | undefined, expected: string, most: number): Parser<readonly T[]> {
  return (text) => {
    const parts = new Set(text.split(',').map((part) => part.trim()));
    parts.delete('');
    if (parts.size > most) return new Wrong(`at most ${most} ${expected}`);
    const items = [...parts].map((part) => item(part));
    return items.every((value) => value !== undefined) ? items : new Wrong(expected);
  };
}

export function matching(pattern: RegExp, longest: number, expected: string): Parser<string> {
  return (text) => (text.length <= longest && pattern.test(text) ? text : new Wrong(expected));
}

export const filePath = matching(/^\P{Cc}+$/u, 4096, 'the path of a file');

const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** A namespace's name: a DNS label. */
export const namespaceName = (text: string): string | undefined => (LABEL.test(text) ? text : undefined);

/** A node's name: a DNS subdomain. */
export const nodeName = matching(SUBDOMAIN, 253, 'the name of a node (lower-case letters, digits, "-" and ".")');

/** A key for the allow-list of annotations. last-applied-configuration holds the whole object and is never given out (lookup-rules.md F). */
export function annotationKey(text: string): string | undefined {
  return isLabelKey(text) && text !== 'kubectl.kubernetes.io/last-applied-configuration' ? text : undefined;
}

/** Kept as it is written: the API server reads it again. */
export const labelSelector: Parser<string> = (text) => {
  const { error } = parseLabelSelector(text);
  return error ? new Wrong(`a label selector (at character ${error.column}: ${oneLine(error.message)})`) : text;
};

/** Something to listen on: an address, or a name that the system resolves. */
export const listenHost: Parser<string> = (text) => {
  const name = /^(?=.{1,253}$)[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*$/;
  const labels = text.split('.');
  // 300.1.1.1 is a wrong address, not a host's name (RFC 1123, 2.1: the last label is not all digits).
  if (isIP(text) !== 0 || (name.test(text) && !/^[0-9]+$/.test(labels.at(-1) ?? ''))) return text;
  return new Wrong('an address or a host name, without a port or brackets');
};

/** An http or https URL without user, query and fragment; a path is kept (proxies). Without the trailing slash. */
export const baseUrl: Parser<string> = (text) => {
  const expected = new Wrong('an http:// or https:// URL without user, password, query and fragment');
  if (!/^https?:\/\/[^/]/i.test(text) || /[\s\\@?#]/.test(text) || !URL.canParse(text)) return expected;
  const { href, hostname } = new URL(text);
  // new URL() reads 010.0.0.1 as 8.0.0.1 (rule D2).
  return isIP(hostname) === 4 && !text.includes(`//${hostname}`) ? expected : href.replace(/\/+$/, '');
};
