import { PbfReader } from 'pbf';
import { intern, newContainer, newLabels, newRecord } from './record.ts';
import type { BareContainer, BareRecord } from './record.ts';

// Field numbers: k8s.io/api/core/v1/generated.proto and k8s.io/apimachinery/pkg/apis/meta/v1/generated.proto (v0.36).

export function readPod(reader: PbfReader, end: number): BareRecord {
  return reader.readFields(
    (tag, pod: BareRecord, pbf) => {
      const stop = tag <= 3 ? pbf.readVarint() + pbf.pos : 0;
      if (tag === 1) pbf.readFields(readMeta, pod, stop);
      else if (tag === 2) pbf.readFields(readSpec, pod, stop);
      else if (tag === 3) pbf.readFields(readStatus, pod, stop);
    },
    newRecord(),
    end,
  );
}

function readMeta(tag: number, pod: BareRecord, pbf: PbfReader): void {
  if (tag === 1) pod.name = pbf.readString();
  else if (tag === 3) pod.namespace = intern(pbf.readString());
  else if (tag === 5) pod.uid = pbf.readString();
  else if (tag === 6) pod.resourceVersion = pbf.readString();
  else if (tag === 8) pod.createdAt = readTime(pbf);
  else if (tag === 9) pod.deletedAt = readTime(pbf);
  else if (tag === 11) {
    const entry = pbf.readMessage(readEntry, ['', '']);
    pod.labels ??= newLabels();
    pod.labels[intern(entry[0] ?? '')] = intern(entry[1] ?? '');
  } else if (tag === 13) pbf.readMessage(readOwner, pod);
}

function readEntry(tag: number, entry: string[], pbf: PbfReader): void {
  if (tag === 1 || tag === 2) entry[tag - 1] = pbf.readString();
}

function readOwner(tag: number, pod: BareRecord, pbf: PbfReader): void {
  if (tag === 1) pod.ownerKind = intern(pbf.readString());
  else if (tag === 3) pod.ownerName = intern(pbf.readString());
  else if (tag === 4) pod.ownerUid = intern(pbf.readString());
}

function readTime(pbf: PbfReader): number {
  return pbf.readMessage((tag, time: { seconds: number }) => void (tag === 1 && (time.seconds = pbf.readVarint())), {
    seconds: 0,
  }).seconds;
}

function readSpec(tag: number, pod: BareRecord, pbf: PbfReader): void {
  if (tag === 8) pod.serviceAccount = intern(pbf.readString());
  else if (tag === 10) pod.node = intern(pbf.readString());
  else if (tag === 11) pod.hostNetwork = pbf.readBoolean();
}

function readStatus(tag: number, pod: BareRecord, pbf: PbfReader): void {
  if (tag === 1) pod.phase = intern(pbf.readString());
  else if (tag === 2) {
    const condition = pbf.readMessage(readEntry, ['', '']);
    if (condition[0] === 'Ready') pod.ready = condition[1] === 'True';
  } else if (tag === 5) pod.hostIp = intern(pbf.readString());
  else if (tag === 7) pod.startedAt = readTime(pbf);
  else if (tag === 8) pod.containers.push(pbf.readMessage(readContainer, newContainer()));
  else if (tag === 9) pod.qos = intern(pbf.readString());
  else if (tag === 12) pod.ips.push(pbf.readMessage(readEntry, ['', ''])[0] ?? '');
}

function readContainer(tag: number, container: BareContainer, pbf: PbfReader): void {
  if (tag === 1) container.name = intern(pbf.readString());
  else if (tag === 4) container.ready = pbf.readBoolean();
  else if (tag === 5) container.restarts = pbf.readVarint();
  else if (tag === 6) container.image = intern(pbf.readString());
  else if (tag === 8) container.id = pbf.readString();
}

/** Reads a protobuf watch stream frame by frame; true from `onFrame` ends it. A pod record, or undefined for a bookmark. */
export class ProtobufSplitter {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer, onPod: (pod: BareRecord) => void, onBookmark: () => void): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (bytes.length - at >= 4) {
      const length = bytes.readUInt32BE(at);
      if (bytes.length - at - 4 < length) break;
      this.#frame(bytes.subarray(at + 4, at + 4 + length), onPod, onBookmark);
      at += 4 + length;
    }
    bytes = bytes.subarray(at);
    this.#rest = bytes;
  }

  #frame(bytes: Buffer, onPod: (pod: BareRecord) => void, onBookmark: () => void): void {
    const pbf = new PbfReader(bytes);
    let type = '';
    pbf.readFields((tag, _none, outer) => {
      if (tag === 1) type = outer.readString();
      else if (tag === 2) {
        // RawExtension{raw=1} → "k8s\0" → runtime.Unknown{raw=2} → the object
        outer.readMessage((rawTag, _nothing, extension) => {
          if (rawTag !== 1) return;
          const end = extension.readVarint() + extension.pos;
          extension.pos += 4;
          extension.readFields(
            (unknownTag, _void, unknown) => {
              if (unknownTag !== 2) return;
              const stop = unknown.readVarint() + unknown.pos;
              if (type === 'BOOKMARK') {
                unknown.pos = stop;
                onBookmark();
              } else onPod(readPod(unknown, stop));
            },
            undefined,
            end,
          );
        }, undefined);
      }
    }, undefined);
  }
}
