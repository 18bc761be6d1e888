import type { Namespace } from '../namespace.ts';
import type { StringMap } from '../pod.ts';
import { isResourceVersion } from '../resource-version.ts';
import { labelsFromJson, labelsFromProtobuf, NO_STRINGS } from './labels.ts';
import { salvageNamespace } from './salvage.ts';
import type { ObjectReader } from './wire/format.ts';
import { NOTHING, record, text } from './wire/json-values.ts';
import { MessageReader } from './wire/message-reader.ts';

/**
 * The border (rule B12) for namespaces, read from their metadata: a PartialObjectMetadata, which is what is asked for, or a
 * whole Namespace from a server that does not cut objects down; both begin with the same ObjectMeta. A missing uid or name, and a
 * version that cannot be ordered, make it unreadable (rule B6). Labels are not shared as those of pods are: among a namespace's
 * own is its name.
 */
export function namespaceReader(): ObjectReader<Namespace> {
  const message = new MessageReader();
  return {
    kinds: ['PartialObjectMetadata', 'Namespace'],
    fromJson: (object) => {
      const metadata = record(record(object, 'the object')['metadata'], 'metadata');
      const labels = record(metadata['labels'], 'metadata.labels');
      return namespace(
        text(metadata['uid'], 'metadata.uid'),
        text(metadata['name'], 'metadata.name'),
        text(metadata['resourceVersion'], 'metadata.resourceVersion'),
        labels === NOTHING ? NO_STRINGS : labelsFromJson(labels),
      );
    },
    fromProtobuf: (bytes) => {
      message.reset(bytes);
      return fromProtobuf(message, bytes.length);
    },
    salvage: salvageNamespace,
  };
}

/** Field numbers as in `pod-from-protobuf.ts`. */
function fromProtobuf(message: MessageReader, length: number): Namespace {
  let [uid, name, resourceVersion, labels] = ['', '', '', ''];
  for (let field; (field = message.nextField()) !== 0;) {
    if (field !== 1) continue;
    const end = message.open(length);
    for (let inner; (inner = message.nextField(end)) !== 0;) {
      if (inner === 1) name = message.text(end);
      else if (inner === 5) uid = message.text(end);
      else if (inner === 6) resourceVersion = message.text(end);
      else if (inner === 11) labels += message.run(end);
    }
    message.close(end);
  }
  message.close(length);
  return namespace(uid, name, resourceVersion, labels === '' ? NO_STRINGS : labelsFromProtobuf(labels));
}

function namespace(uid: string, name: string, resourceVersion: string, labels: StringMap): Namespace {
  if (uid === '') throw new Error('metadata.uid is missing');
  if (name === '') throw new Error('metadata.name is missing');
  if (!isResourceVersion(resourceVersion)) {
    throw new Error(`metadata.resourceVersion ${JSON.stringify(resourceVersion)} cannot be ordered`);
  }
  return { uid, namespace: '', name, resourceVersion, labels };
}
