import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { oneLine } from '../../terminal.ts';
import type { Policy } from './policy.ts';
import { compileRules } from './rules-file.ts';
import { MAX_BYTES } from './rules-yaml.ts';

/** What the process is to the command. */
export interface CheckEdge {
  readonly stdin: Readable;
  readonly write: (text: string) => void;
  readonly complain: (text: string) => void;
}

/**
 * `podwhois rules check`: what each file means in a line, or what is wrong with it as `file:line:column: message`. Returns the exit
 * code, of the worst file: 2 cannot be read, 1 wrong, 0.
 */
export async function checkRules(files: readonly string[], { stdin, write, complain }: CheckEdge): Promise<number> {
  let code = 0;
  // Standard input is there once.
  for (const file of new Set(files)) {
    const name = file === '-' ? '<stdin>' : oneLine(file);
    const source = await read(file === '-' ? stdin : createReadStream(file));
    if (source instanceof Error) {
      complain(`podwhois: ${name}: ${oneLine(source.message)}\n`);
      code = 2;
      continue;
    }
    const { policy, problems } = compileRules(source);
    for (const { line, column, message } of problems ?? []) complain(`${name}:${line}:${column}: ${message}\n`);
    if (problems) code = Math.max(code, 1);
    if (policy) write(`${name}: ${summary(policy)}\n`);
  }
  return code;
}

function summary({ rules = [], fallback, needsNamespaces }: Policy): string {
  const count = `${rules.length} ${rules.length === 1 ? 'rule' : 'rules'}`;
  return `${count}, default ${fallback}, ${needsNamespaces ? 'needs' : 'needs no'} labels of namespaces`;
}

/** As much of it as is needed to see that it is too much. */
async function read(stream: Readable): Promise<Uint8Array | Error> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      if ((size += chunk.length) > MAX_BYTES) break;
    }
  } catch (error) {
    return error as Error;
  }
  return Buffer.concat(chunks);
}
