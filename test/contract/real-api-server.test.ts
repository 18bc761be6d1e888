import { readFileSync } from 'node:fs';
import { describe } from 'node:test';
import { API_ONLY, realServer, startControlPlane } from '../support/real-servers.ts';
import { listWatchContract } from './list-watch.ts';
import type { Subject } from './subject.ts';

async function real(): Promise<Subject> {
  const plane = await startControlPlane({ apiOnly: true });
  const send = async (method: string, path: string, body: unknown, type = 'application/json'): Promise<void> => {
    const response = await plane.fetch(path, { method, headers: { 'content-type': type }, body: JSON.stringify(body) });
    const text = await response.text();
    if (!response.ok && response.status !== 409) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  };
  const merge = 'application/merge-patch+json';
  const podPath = (namespace: string, name: string): string => `/api/v1/namespaces/${namespace}/pods/${name}`;
  let bumps = 0;
  return {
    baseUrl: plane.url,
    headers: { authorization: `Bearer ${plane.token}` },
    ca: readFileSync(plane.caFile, 'utf8'),
    async createPod({ namespace, name, labels, node }) {
      await send('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
      const spec = { ...(node === undefined ? {} : { nodeName: node }), containers: [{ name: 'main', image: 'none' }] };
      await send('POST', `/api/v1/namespaces/${namespace}/pods`, { metadata: { name, labels }, spec });
    },
    async patchStatus(namespace, name, { phase, ip }) {
      const addresses = ip === undefined ? {} : { podIP: ip, podIPs: [{ ip }] };
      await send('PATCH', `${podPath(namespace, name)}/status`, { status: { phase, ...addresses } }, merge);
    },
    async setLabels(namespace, name, labels) {
      await send('PATCH', podPath(namespace, name), { metadata: { labels } }, merge);
    },
    async deletePod(namespace, name) {
      await send('DELETE', podPath(namespace, name), { gracePeriodSeconds: 0 });
    },
    async createNamespace(name, labels) {
      await send('POST', '/api/v1/namespaces', { metadata: { name, labels } });
    },
    async setNamespaceLabels(name, labels) {
      await send('PATCH', `/api/v1/namespaces/${name}`, { metadata: { labels } }, merge);
    },
    async deleteNamespace(name) {
      await send('DELETE', `/api/v1/namespaces/${name}`, {});
      // What the namespace controller does when all is gone; there is none here.
      await send('PUT', `/api/v1/namespaces/${name}/finalize`, { metadata: { name }, spec: { finalizers: [] } });
    },
    async writeEndpointSlice({ namespace, name, labels, addressType, endpoints }) {
      const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
      const slice = { metadata: { name, labels }, addressType, endpoints };
      await send('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
      const { ok } = await plane.fetch(`${path}/${name}`);
      if (ok) await send('PUT', `${path}/${name}`, slice);
      else await send('POST', path, slice);
    },
    async deleteEndpointSlice(namespace, name) {
      await send('DELETE', `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices/${name}`, {});
    },
    async bump() {
      await send('POST', '/api/v1/namespaces/default/configmaps', { metadata: { name: `bump-${++bumps}` } });
    },
    async forgetHistory() {
      await plane.compact();
      await plane.apiServer.stop();
      await plane.startApiServer();
    },
    close: async () => await plane.down(),
  };
}

describe('lists and watches of a real API server', realServer(...API_ONLY), () => listWatchContract(real));
