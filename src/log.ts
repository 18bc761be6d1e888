import { pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';
import { oneLine } from './terminal.ts';

export type Log = Logger;

export interface LogOptions {
  readonly level: string;
  readonly format: 'json' | 'text';
}

/**
 * Lines to standard output: a constant message plus fields. Each part of podwhois takes `log.child({ component: 'reflector' })`.
 * What could be a credential is taken out here, whoever logs it.
 */
export function createLog({ level, format }: LogOptions, destination?: DestinationStream): Log {
  const out = destination ?? pino.destination({ dest: 1, sync: true });
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: plainError, error: plainError },
      redact: { paths: SECRETS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]), censor: '(secret)' },
    },
    format === 'json' ? out : asText(out),
  );
}

const SECRETS = [
  'authorization',
  'Authorization',
  'token',
  'password',
  'pgPassword',
  'databaseUrl',
  'headers',
  'connectionString',
];

/** Errors of client libraries carry requests, headers and bodies: only these fields leave. */
function plainError(error: unknown): unknown {
  if (!(error instanceof Error)) return typeof error === 'string' ? withoutSecrets(error) : error;
  const { name, message, stack, cause, code } = error as Error & { code?: unknown };
  return {
    name,
    message: withoutSecrets(message),
    ...(typeof code === 'string' && { code }),
    ...(cause instanceof Error && { cause: withoutSecrets(cause.message) }),
    ...(stack !== undefined && { stack: withoutSecrets(stack) }),
  };
}

/** Bearer and basic credentials, what stands before the @ of a URL, and the password of a connection string. */
export function withoutSecrets(text: string): string {
  return text
    .replace(/\b(bearer|basic)\s+[\w.~+/=-]+/gi, '$1 (secret)')
    .replace(/\b(postgres(?:ql)?):\/\/\S*@/gi, '$1://(secret)@')
    .replace(/:\/\/[^/?#\s@]*@/g, '://(secret)@')
    .replace(/(?:\b|PG)password\s*=\s*(?:'(?:[^'\\]|\\.)*'|\S+)/gi, 'password=(secret)');
}

/**
 * `2026-11-21T10:00:00.000Z WARN reflector: the watch ended status=410`; the texts of the field `faults` and a stack follow on lines
 * of their own. These are indented, which no line of the log is: whatever they quote passes for none.
 */
function asText(out: DestinationStream): DestinationStream {
  return {
    write(line) {
      const { time, level, component, msg, err, faults, ...fields } = JSON.parse(line) as Record<string, unknown>;
      const error = (typeof err === 'object' ? err : undefined) as { message?: unknown; stack?: unknown } | undefined;
      if (error) fields['error'] = error.message;
      const name = component === undefined ? '' : `${text(component)}: `;
      const pairs = Object.entries(fields).map(([key, value]) => ` ${text(key)}=${quoted(value)}`);
      const head = `${text(time)} ${text(level).toUpperCase().padEnd(5)} ${name}${text(msg)}`;
      const stack = typeof error?.stack === 'string' ? error.stack.split('\n').slice(1) : [];
      const more = [...(Array.isArray(faults) ? faults.map(text) : []), ...stack.map((part) => oneLine(part, 500))];
      out.write([head + pairs.join(''), ...more.map((part) => `    ${part.trimStart()}`)].join('\n') + '\n');
    },
  };
}

const text = (value: unknown): string =>
  oneLine(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''), 2000);

const quoted = (value: unknown): string => {
  const plain = text(value);
  return typeof value === 'string' && /[\s"=]|^$/.test(plain) ? `"${plain.replaceAll('"', '\\"')}"` : plain;
};
