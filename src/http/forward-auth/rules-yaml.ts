import { Composer, isAlias, isMap, isScalar, isSeq, Lexer, LineCounter, Parser } from 'yaml';
import type { CST, Document, Node, YAMLError } from 'yaml';
import { oneLine } from '../../terminal.ts';
import { nearest } from './nearest.ts';

/** YAML as a rules file may hold it: lists, texts, and maps with known fields, each with its place. All faults are collected. */

/** What is wrong, and where; both from 1. */
export interface FileProblem {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** As long as a ConfigMap can be. */
export const MAX_BYTES = 2 ** 20;

/**
 * Brackets in brackets. A rules file has eight at most; unbounded, a mebibyte of them keeps the process from everything else for
 * seconds.
 */
const MAX_DEPTH = 32;

/** Words, marks and pieces of white space: 400 for each of a thousand rules, and half a second. */
const MAX_LEXEMES = 400_000;

/** Whoever has more mends these first. */
const MAX_PROBLEMS = 100;

/** A node that is a field's value or an item of a list; its key stands in for a value that is not there. */
export interface Place {
  readonly node: Node | null;
  readonly offset: number;
}

export class RulesYaml {
  readonly problems: FileProblem[] = [];
  readonly #lines = new LineCounter();

  /** The one document's content; undefined when it cannot be read, and the problems then say why. */
  read(source: string | Uint8Array): Place | undefined {
    const text = this.#text(source);
    const document = text === undefined ? undefined : this.#document(text);
    if (!document || this.problems.length > 0) return undefined;
    return { node: document.contents, offset: document.contents?.range?.[0] ?? 0 };
  }

  add({ offset }: { readonly offset: number }, message: string): void {
    if (this.problems.length >= MAX_PROBLEMS) return;
    const { line, col } = this.#lines.linePos(offset);
    // Before the first line is counted there is none.
    this.problems.push({ line: Math.max(line, 1), column: Math.max(col, 1), message: oneLine(message, 500) });
  }

  inOrder(): readonly FileProblem[] {
    return this.problems.sort((a, b) => a.line - b.line || a.column - b.column);
  }

  /** Reports that a field is missing. */
  required(around: Place, field: Place | undefined, message: string): Place | undefined {
    if (!field) this.add(around, message);
    return field;
  }

  lineOf({ offset }: Place): number {
    return this.#lines.linePos(offset).line;
  }

  /** The fields of a map, without those that are unknown. undefined: it is none. */
  fields<F extends string>(place: Place, what: string, known: readonly F[]): Partial<Record<F, Place>> | undefined {
    const entries = this.entries(place, `${what} must be a map of ${known.join(', ')}`);
    if (!entries) return undefined;
    const fields: Partial<Record<F, Place>> = {};
    for (const { key, offset, value } of entries) {
      const field = known.find((name) => name === key);
      if (field !== undefined) fields[field] = value;
      else this.add({ offset }, `unknown field ${quoted(key)}: ${advice(key, known)}`);
    }
    return fields;
  }

  /** Any keys; those that stand twice are reported. */
  entries(
    place: Place,
    expected: string,
  ): { readonly key: string; readonly offset: number; readonly value: Place }[] | undefined {
    const node = this.#plain(place, expected);
    if (node === undefined) return undefined;
    if (!isMap(node)) return this.#wrongKind(place, expected);
    const seen = new Set<string>();
    const entries: { key: string; offset: number; value: Place }[] = [];
    for (const { key: keyNode, value } of node.items) {
      const offset = (keyNode as Node).range?.[0] ?? place.offset;
      const key = this.text({ node: keyNode as Node, offset }, 'a key');
      if (key === undefined) continue;
      if (seen.has(key)) this.add({ offset }, `${quoted(key)} stands twice`);
      seen.add(key);
      entries.push({
        key,
        offset,
        value: { node: value as Node | null, offset: (value as Node | null)?.range?.[0] ?? offset },
      });
    }
    return entries;
  }

  items(place: Place, expected: string): readonly Place[] | undefined {
    const node = this.#plain(place, expected);
    if (node === undefined) return undefined;
    if (!isSeq(node)) return this.#wrongKind(place, expected);
    return node.items.map((item) => ({ node: item as Node, offset: (item as Node).range?.[0] ?? place.offset }));
  }

  text(place: Place, what: string): string | undefined {
    const node = this.#plain(place, `${what} must be text`);
    if (node === undefined) return undefined;
    if (!isScalar(node)) return this.#wrongKind(place, `${what} must be text`);
    if (typeof node.value === 'string') return node.value;
    if (node.value === null) this.add(place, `${what} is empty: must be text`);
    else this.add(place, `${what} must be text: quote it, "${node.source ?? ''}"`);
    return undefined;
  }

  /** Refuses whatever makes YAML mean something else than it says, or more than is there. */
  #plain(place: Place, expected: string): Node | undefined {
    const { node } = place;
    if (node === null) {
      this.add(place, `there is nothing: ${expected}`);
      return undefined;
    }
    const { anchor, tag } = node as { readonly anchor?: string; readonly tag?: string };
    if (isAlias(node))
      this.add(place, `aliases are not taken here: write it out, or quote a text that begins with "*"`);
    else if (anchor !== undefined) this.add(place, `anchors are not taken here: leave ${quoted(`&${anchor}`)} out`);
    else if (tag !== undefined) this.add(place, `tags are not taken here: leave ${quoted(tag)} out`);
    else return node;
    return undefined;
  }

  #wrongKind(place: Place, expected: string): undefined {
    const { node } = place;
    const isNothing = isScalar(node) && node.value === null;
    const found = isMap(node)
      ? 'a map'
      : isSeq(node)
        ? 'a list'
        : isNothing
          ? 'nothing'
          : quoted(String((node as { value?: unknown }).value));
    this.add(place, `found ${found}: ${expected}`);
    return undefined;
  }

  #text(source: string | Uint8Array): string | undefined {
    const bytes = typeof source === 'string' ? Buffer.byteLength(source) : source.length;
    if (bytes > MAX_BYTES) this.add({ offset: 0 }, 'the file is longer than 1 MiB');
    else if (typeof source === 'string') return source;
    else {
      try {
        return new TextDecoder('utf-8', { fatal: true }).decode(source);
      } catch {
        this.add({ offset: 0 }, 'the file is not UTF-8');
      }
    }
    return undefined;
  }

  #document(text: string): Document | undefined {
    // Keys that stand twice are found above, in linear time. YAML 1.2's core schema whatever the file says: `no` is text.
    const composer = new Composer({ uniqueKeys: false, version: '1.2', schema: 'core', merge: false });
    const { stackTraceLimit } = Error;
    // Errors in hundreds of thousands take a second without their stacks, and fifteen with them.
    Error.stackTraceLimit = 0;
    try {
      let only: Document | undefined;
      for (const document of composer.compose(this.#tokens(text), true, text.length)) {
        // The first only: what follows it follows from it.
        const [error] = [...document.errors, ...document.warnings].sort((a, b) => a.pos[0] - b.pos[0]);
        if (error) this.add({ offset: error.pos[0] }, syntaxMessage(error));
        if (only) {
          this.add({ offset: document.range[0] }, 'a second document: a file holds one');
          break;
        }
        only = document;
      }
      return only;
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
  }

  /** Ends early, with a problem, where the text is none that a parser should spend its time on. */
  *#tokens(text: string): Generator<CST.Token> {
    this.#lines.addNewLine(0);
    const parser = new Parser(this.#lines.addNewLine);
    let depth = 0;
    let lexemes = 0;
    for (const lexeme of new Lexer().lex(text)) {
      if (lexeme === '[' || lexeme === '{') depth++;
      else if (lexeme === ']' || lexeme === '}') depth--;
      const excess =
        depth > MAX_DEPTH
          ? 'nested too deeply'
          : depth < 0
            ? `"${lexeme}" closes nothing`
            : ++lexemes > MAX_LEXEMES
              ? `a file has at most ${MAX_LEXEMES.toLocaleString('en')} words and marks`
              : undefined;
      if (excess !== undefined) {
        this.add(parser, excess);
        return;
      }
      yield* this.#allowed(parser.next(lexeme));
    }
    yield* this.#allowed(parser.end());
  }

  *#allowed(tokens: Iterable<CST.Token>): Generator<CST.Token> {
    for (const token of tokens) {
      // %YAML 1.1 would make another language of it.
      if (token.type === 'directive') this.add(token, 'directives are not taken here: leave the line out');
      yield token;
    }
  }
}

function syntaxMessage({ code, message }: YAMLError): string {
  if (code === 'RESOURCE_EXHAUSTION') return 'nested too deeply';
  const isBrace = code === 'UNEXPECTED_TOKEN' && /flow-map-(start|end)/.test(message);
  return isBrace ? `${message}: a text with "{" or "}" is quoted, like "/fn/{namespace}"` : message;
}

const quoted = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);

/** Which field may be meant, and which there are. */
function advice(word: string, known: readonly string[]): string {
  const meant = nearest(word, known);
  return `${meant === undefined ? '' : `did you mean ${meant}? `}there are ${known.join(', ')}`;
}
