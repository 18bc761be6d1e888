import { PbfWriter } from 'pbf';
import { MESSAGES } from './messages.ts';
import { slotOf } from './shared.ts';

/** One field of a message, as `messages.ts` notes it. */
export interface Field {
  readonly tag: number;
  readonly label: string;
  readonly name: string;
  readonly type: string;
  /** One element of a repeated field, or the value of a map's entry. */
  readonly element: Field | undefined;
}

const NOTE = /^(\d+)([!*%^]?)(\w+)(?::(\w+))?$/;
const messages = new Map<string, readonly Field[]>();

function fieldsOf(message: string): readonly Field[] {
  let fields = messages.get(message);
  if (!fields) {
    const notes = MESSAGES[message];
    if (notes === undefined) throw new Error(`no protobuf message ${message}`);
    fields = notes.split(' ').map((note) => {
      const [, tag, label = '', name = '', type = 's'] = NOTE.exec(note) ?? [];
      const field = { tag: Number(tag), label, name, type, element: undefined };
      if (label === '*') return { ...field, element: { ...field, label: '' } };
      if (label === '%') return { ...field, element: { ...field, tag: 2, label: '!' } };
      return field;
    });
    messages.set(message, fields);
  }
  return fields;
}

const seconds = new Map<string, number>();

function parseTime(text: string): number {
  let value = seconds.get(text);
  if (value === undefined) {
    if (seconds.size > 10_000) seconds.clear();
    value = Math.floor(Date.parse(text) / 1000);
    seconds.set(text, value);
  }
  return value;
}

function writeTime(text: string | null | undefined, writer: PbfWriter): void {
  if (text === null || text === undefined) return; // Go's zero time is an empty message
  writer.writeVarintField(1, parseTime(text));
  writer.writeVarintField(2, 0);
}

function writeIntOrString(value: unknown, writer: PbfWriter): void {
  const isText = typeof value === 'string';
  writer.writeVarintField(1, isText ? 1 : 0);
  writer.writeVarintField(2, isText ? 0 : ((value as number | undefined) ?? 0));
  writer.writeStringField(3, isText ? value : '');
}

function writeValue(writer: PbfWriter, { tag, type }: Field, value: unknown): void {
  switch (type) {
    case 's':
      return writer.writeStringField(tag, (value as string | undefined) ?? '');
    case 'b':
      return writer.writeBooleanField(tag, value === true);
    case 'i':
      return writer.writeVarintField(tag, (value as number | undefined) ?? 0);
    case 'Time':
      return writer.writeMessage(tag, writeTime, value as string | null | undefined);
    case 'Quantity':
      return writer.writeMessage(
        tag,
        (text, w) => w.writeStringField(1, String(text)),
        (value as string | number) ?? '0',
      );
    case 'IntOrString':
      return writer.writeMessage(tag, writeIntOrString, value);
    case 'FieldsV1':
      return writer.writeMessage(tag, (json, w) => w.writeStringField(1, json), JSON.stringify(value));
    default:
      return writer.writeMessage(tag, (object, w) => writeFields(w, type, object), (value as object | undefined) ?? {});
  }
}

function writeMap(writer: PbfWriter, tag: number, entry: Field, map: Readonly<Record<string, unknown>>): void {
  for (const key of Object.keys(map).sort()) {
    writer.writeMessage(
      tag,
      (value, w) => {
        w.writeStringField(1, key);
        writeValue(w, entry, value);
      },
      map[key],
    );
  }
}

function writeLabelled(writer: PbfWriter, field: Field, value: unknown): void {
  if (!field.element) writeValue(writer, field, value);
  else if (field.label === '%') writeMap(writer, field.tag, field.element, value as Record<string, unknown>);
  else for (const element of value as unknown[]) writeField(writer, field.element, element);
}

function append(writer: PbfWriter, bytes: Uint8Array): void {
  writer.realloc(bytes.length);
  writer.buf.set(bytes, writer.pos);
  writer.pos += bytes.length;
}

function writeField(writer: PbfWriter, field: Field, value: unknown): void {
  if (value === undefined || value === null) {
    if (field.label === '!') writeValue(writer, field, value);
    return;
  }
  const slot = typeof value === 'object' ? slotOf(value) : undefined;
  if (!slot) return writeLabelled(writer, field, value);
  const known = slot.protobuf;
  if (known?.field === field) return append(writer, known.bytes);
  const start = writer.pos;
  writeLabelled(writer, field, value);
  slot.protobuf ??= { field, bytes: Uint8Array.prototype.slice.call(writer.buf, start, writer.pos) };
}

function writeFields(writer: PbfWriter, message: string, object: object): void {
  for (const field of fieldsOf(message)) {
    if (field.label === '^') writer.writeMessage(field.tag, (o, w) => writeFields(w, field.type, o), object);
    else writeField(writer, field, (object as Record<string, unknown>)[field.name]);
  }
}

const writer = new PbfWriter(new Uint8Array(64 * 1024));

/**
 * The protobuf message of a JSON object, byte for byte as Go writes it. TL;DR caveat: the bytes are a view of a scratch
 * buffer and hold only until the next call; copy what is kept.
 */
export function encodeMessage(message: string, object: object): Uint8Array {
  writer.pos = 0;
  writeFields(writer, message, object);
  return writer.buf.subarray(0, writer.pos);
}
