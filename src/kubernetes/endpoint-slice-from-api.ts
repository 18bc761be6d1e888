import type { EndpointSlice, PodEndpoint } from '../endpoint-slice.ts';
import { isResourceVersion } from '../resource-version.ts';
import { labelsFromJson, labelsFromProtobuf, NO_STRINGS } from './labels.ts';
import type { CanonicalIp } from './pod-record.ts';
import { salvageNamespaced } from './salvage.ts';
import type { ObjectReader } from './wire/format.ts';
import { boolean, list, NOTHING, record, text } from './wire/json-values.ts';
import { MessageReader } from './wire/message-reader.ts';

const SERVICE_NAME = 'kubernetes.io/service-name';

/**
 * The border (rule B12) for EndpointSlices: of each endpoint its pod, its first address and whether it is ready, the same from
 * either format. A missing uid, namespace or name, a version that cannot be ordered and a field of a wrong type make a slice unreadable
 * (rule B6); an endpoint that names no pod, or an address that is not canonical, is only counted: slices are written by people too.
 */
export function endpointSliceReader(canonicalIp: CanonicalIp): ObjectReader<EndpointSlice> {
  const message = new MessageReader();
  return {
    kinds: ['EndpointSlice'],
    fromJson: (object) => endpointSlice(fromJson(object), canonicalIp),
    fromProtobuf: (bytes) => {
      message.reset(bytes);
      return endpointSlice(fromProtobuf(message, bytes.length), canonicalIp);
    },
    salvage: salvageNamespaced,
  };
}

/** As either format fills it in: texts as sent, empty where nothing is said. */
interface Facts {
  uid: string;
  namespace: string;
  name: string;
  resourceVersion: string;
  labels: EndpointSlice['labels'];
  addressType: string;
  readonly endpoints: EndpointFacts[];
}

interface EndpointFacts {
  address: string;
  ready: boolean;
  /** Of its targetRef. */
  kind: string;
  uid: string;
  name: string;
}

function fromJson(object: unknown): Facts {
  const slice = record(object, 'the object');
  const metadata = record(slice['metadata'], 'metadata');
  const labels = record(metadata['labels'], 'metadata.labels');
  return {
    uid: text(metadata['uid'], 'metadata.uid'),
    namespace: text(metadata['namespace'], 'metadata.namespace'),
    name: text(metadata['name'], 'metadata.name'),
    resourceVersion: text(metadata['resourceVersion'], 'metadata.resourceVersion'),
    labels: labels === NOTHING ? NO_STRINGS : labelsFromJson(labels),
    addressType: text(slice['addressType'], 'addressType'),
    endpoints: list(slice['endpoints'], 'endpoints').map(endpointFromJson),
  };
}

function endpointFromJson(value: unknown): EndpointFacts {
  const endpoint = record(value, 'an endpoint');
  const conditions = record(endpoint['conditions'], 'conditions');
  const target = record(endpoint['targetRef'], 'targetRef');
  return {
    address: text(list(endpoint['addresses'], 'addresses')[0], 'an address'),
    ready: boolean(conditions['ready'] ?? true, 'conditions.ready'),
    kind: text(target['kind'], 'targetRef.kind'),
    uid: text(target['uid'], 'targetRef.uid'),
    name: text(target['name'], 'targetRef.name'),
  };
}

/** Field numbers: generated.proto of k8s.io/api/discovery/v1; of the metadata as in `pod-from-protobuf.ts`. */
function fromProtobuf(message: MessageReader, length: number): Facts {
  const facts: Facts = {
    uid: '',
    namespace: '',
    name: '',
    resourceVersion: '',
    labels: NO_STRINGS,
    addressType: '',
    endpoints: [],
  };
  for (let field; (field = message.nextField()) !== 0;) {
    if (field === 1) readMetadata(message, message.open(length), facts);
    else if (field === 2) facts.endpoints.push(readEndpoint(message, message.open(length)));
    else if (field === 4) facts.addressType = message.text(length);
  }
  message.close(length);
  return facts;
}

function readMetadata(message: MessageReader, end: number, into: Facts): void {
  let labels = '';
  for (let field; (field = message.nextField(end)) !== 0;) {
    if (field === 1) into.name = message.text(end);
    else if (field === 3) into.namespace = message.text(end);
    else if (field === 5) into.uid = message.text(end);
    else if (field === 6) into.resourceVersion = message.text(end);
    else if (field === 11) labels += message.run(end);
  }
  message.close(end);
  if (labels !== '') into.labels = labelsFromProtobuf(labels);
}

function readEndpoint(message: MessageReader, end: number): EndpointFacts {
  const endpoint: EndpointFacts = { address: '', ready: true, kind: '', uid: '', name: '' };
  let addresses = 0;
  for (let field; (field = message.nextField(end)) !== 0;) {
    if (field === 1) {
      const address = message.text(end);
      if (addresses++ === 0) endpoint.address = address;
    } else if (field === 2) readConditions(message, message.open(end), endpoint);
    else if (field === 4) readTarget(message, message.open(end), endpoint);
  }
  message.close(end);
  return endpoint;
}

function readConditions(message: MessageReader, end: number, into: EndpointFacts): void {
  for (let field; (field = message.nextField(end)) !== 0;) if (field === 1) into.ready = message.boolean();
  message.close(end);
}

/** core/v1.ObjectReference */
function readTarget(message: MessageReader, end: number, into: EndpointFacts): void {
  for (let field; (field = message.nextField(end)) !== 0;) {
    if (field === 1) into.kind = message.text(end);
    else if (field === 3) into.name = message.text(end);
    else if (field === 4) into.uid = message.text(end);
  }
  message.close(end);
}

function endpointSlice(facts: Facts, canonicalIp: CanonicalIp): EndpointSlice {
  const { uid, namespace, name, resourceVersion, labels, addressType, endpoints } = facts;
  if (uid === '') throw new Error('metadata.uid is missing');
  if (namespace === '') throw new Error('metadata.namespace is missing');
  if (name === '') throw new Error('metadata.name is missing');
  if (!isResourceVersion(resourceVersion)) {
    throw new Error(`metadata.resourceVersion ${JSON.stringify(resourceVersion)} cannot be ordered`);
  }
  // Of the third type, FQDN, an address may look like one and is none.
  const hasAddresses = addressType === 'IPv4' || addressType === 'IPv6';
  const pods = hasAddresses ? endpoints.flatMap((endpoint) => podEndpoint(endpoint, canonicalIp)) : [];
  const service = labels[SERVICE_NAME] ?? '';
  return { uid, namespace, name, resourceVersion, labels, service, pods, skipped: endpoints.length - pods.length };
}

function podEndpoint({ address, ready, kind, uid, name }: EndpointFacts, canonicalIp: CanonicalIp): PodEndpoint[] {
  const ip = canonicalIp(address);
  return kind === 'Pod' && uid !== '' && name !== '' && ip !== undefined ? [{ uid, name, ip, ready }] : [];
}
