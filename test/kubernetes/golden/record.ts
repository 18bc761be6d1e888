import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EVERY_KIND_OF_POD } from '../../cluster/every-kind-of-pod.ts';
import type { Specimen } from '../../cluster/every-kind-of-pod.ts';
import { EVERY_KIND_OF_SLICE } from './every-kind-of-slice.ts';
import { startControlPlane } from '../../support/real-servers.ts';

/**
 * Records what a real API server sends, in both formats, into this folder: KUBEBUILDER_ASSETS=... node record.ts pods|namespaces|slices
 * Both watches run at the same time, so that they tell of the same events.
 */

const FORMATS = [
  { suffix: 'pb', accept: 'application/vnd.kubernetes.protobuf', stream: ';stream=watch' },
  { suffix: 'json', accept: 'application/json', stream: '' },
] as const;

const NAMESPACE = 'golden';
const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`;

/** Asks for objects, or a list of them, cut down to their metadata. */
const METADATA = ';as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
const METADATA_LIST = ';as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';
const NAMESPACES = '/api/v1/namespaces';

const wanted = process.argv.slice(2);
const plane = await startControlPlane({ apiOnly: true });
try {
  await write('POST', NAMESPACES, { metadata: { name: NAMESPACE } });
  if (wanted.includes('pods')) await recordPods();
  if (wanted.includes('namespaces')) await recordNamespaces();
  if (wanted.includes('slices')) await recordSlices();
} finally {
  await plane.down();
}

async function recordPods(): Promise<void> {
  for (const { pod, status, ephemeral } of [...EVERY_KIND_OF_POD.filter(isSmall), ...ownSpecimens()]) {
    await write('POST', PODS, pod);
    if (status) await write('PATCH', `${PODS}/${pod.metadata.name}/status`, { status });
    if (ephemeral) await write('PATCH', `${PODS}/${pod.metadata.name}/ephemeralcontainers`, ephemeral);
  }
  await write('DELETE', `${PODS}/everything-in-the-spec`); // its finalizer keeps it
  await record('list', PODS);
  await record('page', `${PODS}?limit=3`);
  await record('not-found', `${PODS}/not-there`);
  await record('too-large', `${PODS}?resourceVersion=99999999&resourceVersionMatch=NotOlderThan`);
  await recordWatch('watch', PODS, '', async () => {
    const name = 'short-life';
    const spec = { schedulerName: 'nobody', containers: [{ name: 'main', image: 'example.test/main:1' }] };
    await write('POST', PODS, { metadata: { name }, spec });
    await write('PATCH', `${PODS}/${name}/status`, { status: { phase: 'Running', podIP: '10.1.0.30' } });
    await write('PATCH', `${PODS}/${name}/status`, { status: { phase: 'Failed' } });
    await write('DELETE', `${PODS}/${name}?gracePeriodSeconds=0`);
  });
  await plane.apiServer.stop();
  await plane.startApiServer(); // which forgets what happened
  await record('gone', `${PODS}?watch=true&timeoutSeconds=1&resourceVersion=1`);
}

async function recordNamespaces(): Promise<void> {
  const labels = { team: 'a', constructor: 'x', 'example.test/tier': '', managedFields: 'managedFields' };
  const annotations = { 'example.test/decoy': ',"managedFields":[{"a":"b"}]},"labels":{"team":"b"}' };
  await write('POST', NAMESPACES, { metadata: { name: 'labelled', labels, annotations } });
  await record('namespaces', NAMESPACES, METADATA_LIST);
  await record('namespaces-whole', NAMESPACES);
  await record('namespaces-page', `${NAMESPACES}?limit=2`, METADATA_LIST);
  await recordWatch('namespaces-watch', NAMESPACES, METADATA, async () => {
    const name = 'short-life';
    await write('POST', NAMESPACES, { metadata: { name, labels: { team: 'a' } } });
    await write('PATCH', `${NAMESPACES}/${name}`, { metadata: { labels: { team: 'b' } } });
    await write('DELETE', `${NAMESPACES}/${name}`);
    await write('PUT', `${NAMESPACES}/${name}/finalize`, { metadata: { name }, spec: { finalizers: [] } });
  });
  await plane.apiServer.stop();
  await plane.startApiServer();
  await record('namespaces-gone', `${NAMESPACES}?watch=true&timeoutSeconds=1&resourceVersion=1`, METADATA);
}

async function recordSlices(): Promise<void> {
  const slices = `/apis/discovery.k8s.io/v1/namespaces/${NAMESPACE}/endpointslices`;
  for (const slice of EVERY_KIND_OF_SLICE) await write('POST', slices, slice);
  await record('slices', slices);
  await record('slices-page', `${slices}?limit=2`);
  await recordWatch('slices-watch', slices, '', async () => {
    const path = `${slices}/short-life`;
    const endpoints = [{ addresses: ['10.1.0.9'], targetRef: { kind: 'Pod', name: 'late', uid: 'uid-late' } }];
    await write('POST', slices, { metadata: { name: 'short-life' }, addressType: 'IPv4', endpoints });
    await write('PATCH', path, { metadata: { labels: { 'kubernetes.io/service-name': 'web' } } });
    await write('PATCH', path, { endpoints: [{ ...endpoints[0], conditions: { ready: false } }] });
    await write('DELETE', path);
  });
  await plane.apiServer.stop();
  await plane.startApiServer();
  await record('slices-gone', `${slices}?watch=true&timeoutSeconds=1&resourceVersion=1`);
}

function named(name: string, metadata: object): { readonly name: string } {
  return { name, ...metadata };
}

function isSmall(specimen: object): boolean {
  return JSON.stringify(specimen).length < 20_000;
}

function ownSpecimens(): readonly Specimen[] {
  const containers = [{ name: 'main', image: 'example.test/main:1' }];
  const spec = { schedulerName: 'nobody', containers };
  const minute = Math.floor(Date.now() / 60_000) - 1;
  const job = { apiVersion: 'batch/v1', kind: 'Job', name: `nightly-${minute}`, uid: 'job-uid', controller: true };
  const text = '"managedFields":[{"a":"b"}]},"spec":{"nodeName":"decoy"}';
  return [
    { pod: { metadata: named('cron-job', { ownerReferences: [job] }), spec } },
    {
      pod: {
        metadata: named('decoys', {
          labels: { managedFields: 'managedFields' },
          annotations: {
            managedFields: text,
            'example.test/kept': `,${text}`,
            'kubectl.kubernetes.io/last-applied-configuration': `{"metadata":{${text}}`,
          },
        }),
        spec: { ...spec, containers: [{ ...containers[0], env: [{ name: 'A', value: `{${text}` }] }] },
      },
    },
    {
      pod: { metadata: { name: 'odd-phase' }, spec },
      status: { phase: 'Sleeping', podIP: '10.1.0.20', conditions: [] },
    },
  ];
}

async function write(method: string, path: string, body: object = {}): Promise<void> {
  const type = method === 'PATCH' ? 'application/strategic-merge-patch+json' : 'application/json';
  const response = await plane.fetch(path, { method, headers: { 'content-type': type }, body: JSON.stringify(body) });
  assert.ok(response.ok, `${method} ${path}: ${await response.text()}`);
}

async function record(name: string, path: string, as = ''): Promise<void> {
  for (const { suffix, accept } of FORMATS) {
    const response = await plane.fetch(path, { headers: { accept: accept + as } });
    save(name, suffix, Buffer.from(await response.arrayBuffer()));
  }
}

/** Initial events, their end, an object's whole life, and the bookmark that comes shortly before the watch ends. */
async function recordWatch(name: string, objects: string, as: string, live: () => Promise<void>): Promise<void> {
  const query = 'watch=true&timeoutSeconds=5&allowWatchBookmarks=true';
  const path = `${objects}?${query}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan`;
  const watches = FORMATS.map(({ suffix, accept, stream }) => {
    const started = Promise.withResolvers<void>();
    const ended = (async () => {
      const response = await plane.fetch(path, { headers: { accept: accept + stream + as } });
      assert.ok(response.body);
      let bytes = Buffer.alloc(0);
      for await (const chunk of response.body) {
        bytes = Buffer.concat([bytes, chunk as Uint8Array]);
        if (bytes.includes('initial-events-end')) started.resolve();
      }
      save(name, suffix, bytes);
    })();
    return { started: started.promise, ended };
  });
  await Promise.all(watches.map(async ({ started }) => await started));
  await live();
  await Promise.all(watches.map(async ({ ended }) => await ended));
}

function save(name: string, suffix: string, bytes: Uint8Array): void {
  writeFileSync(join(import.meta.dirname, `${name}.golden.${suffix}`), bytes);
  console.log(`${name}.${suffix}: ${bytes.length} bytes`);
}
