/** EndpointSlices to be made on a real API server: each field there is, each that may be missing, and what is no pod. */
const pod = (name: string): object => ({ kind: 'Pod', namespace: 'golden', name, uid: `uid-${name}` });
const ports = [{ name: 'http', port: 8080, protocol: 'TCP', appProtocol: 'kubernetes.io/h2c' }];
const of = (service: string): object => ({ labels: { 'kubernetes.io/service-name': service, tier: 'a' } });
const DECOY = ',"managedFields":[{"a":"b"}]},"endpoints":[{"addresses":["10.9.9.9"]}]';

export const EVERY_KIND_OF_SLICE: readonly object[] = [
  {
    metadata: { name: 'everything', ...of('web'), annotations: { 'example.test/decoy': DECOY } },
    addressType: 'IPv4',
    ports,
    endpoints: [
      {
        addresses: ['10.1.0.1', '10.1.0.101'],
        conditions: { ready: true, serving: true, terminating: false },
        hostname: 'web-1',
        nodeName: 'node-1',
        zone: 'zone-a',
        hints: { forZones: [{ name: 'zone-a' }], forNodes: [{ name: 'node-1' }] },
        targetRef: { ...pod('web-1'), apiVersion: 'v1', resourceVersion: '7', fieldPath: 'spec.containers{main}' },
      },
      {
        addresses: ['10.1.0.2'],
        conditions: { ready: false, serving: true, terminating: true },
        targetRef: pod('web-2'),
      },
    ],
  },
  {
    metadata: { name: 'six', ...of('web') },
    addressType: 'IPv6',
    ports,
    endpoints: [{ addresses: ['fd00::1'], targetRef: pod('web-1') }],
  },
  {
    metadata: { name: 'nothing-is-said', ...of('silent') },
    addressType: 'IPv4',
    endpoints: [
      { addresses: ['10.1.0.3'], targetRef: pod('nil-ready') },
      { addresses: ['10.1.0.4'], conditions: { serving: false }, targetRef: pod('nil-ready-2') },
    ],
  },
  { metadata: { name: 'empty', ...of('empty') }, addressType: 'IPv4', endpoints: [] },
  {
    metadata: { name: 'no-pods', ...of('outside') },
    addressType: 'IPv4',
    endpoints: [
      { addresses: ['192.0.2.1'] },
      { addresses: ['192.0.2.2'], targetRef: { kind: 'Node', name: 'node-1', uid: 'uid-node' } },
      { addresses: ['192.0.2.3'], targetRef: { kind: 'Pod', name: 'no-uid' } },
    ],
  },
  {
    metadata: { name: 'names', ...of('outside') },
    addressType: 'FQDN',
    endpoints: [{ addresses: ['db.example.test'], targetRef: pod('by-name') }],
  },
  {
    metadata: { name: 'of-nobody', labels: { constructor: 'x' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.1.0.5'], targetRef: pod('stray') }],
  },
  { metadata: { name: 'unlabelled' }, addressType: 'IPv4', endpoints: [] },
];
