import type { StringMap } from '../pod.ts';
import { text } from './wire/json-values.ts';
import type { JsonObject } from './wire/json-values.ts';
import { MessageReader } from './wire/message-reader.ts';

/**
 * An empty map with a null prototype (rule A9), to which few keys are added at once. `Object.create(null)` would make a hash
 * table four times the size of the ordinary object that V8 keeps here.
 */
export function newStringMap(): Record<string, string> {
  return Object.setPrototypeOf({}, null) as Record<string, string>;
}

export const NO_STRINGS: StringMap = Object.freeze(newStringMap());

export function labelsFromJson(parsed: JsonObject): StringMap {
  const labels = newStringMap();
  for (const name of Object.keys(parsed)) labels[name] = text(parsed[name], 'metadata.labels');
  return labels;
}

/** Map entries (key 1, value 2), a run of them as `MessageReader.run` gives it. */
export function labelsFromProtobuf(run: string): StringMap {
  const reader = new MessageReader(Buffer.from(run, 'latin1'));
  const labels = newStringMap();
  while (reader.nextField() !== 0) {
    const end = reader.open(reader.length);
    let key = '';
    let value = '';
    for (let field; (field = reader.nextField(end)) !== 0;) {
      if (field === 1) key = reader.text(end);
      else if (field === 2) value = reader.text(end);
    }
    reader.close(end);
    labels[key] = value;
  }
  reader.close(reader.length);
  return labels;
}
