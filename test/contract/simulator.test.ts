import { describe } from 'node:test';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { listWatchContract } from './list-watch.ts';
import type { Subject } from './subject.ts';

async function simulated(): Promise<Subject> {
  const simulator = await startSimulator({ pods: 0 });
  const { cluster } = simulator;
  return {
    baseUrl: simulator.url,
    headers: {},
    ca: undefined,
    async createPod({ namespace, name, labels, node }) {
      cluster.createPod({ namespace, name, phase: 'Pending', ...(labels ? { labels } : {}) });
      if (node !== undefined)
        cluster.updatePod(namespace, name, (pod) => ({ ...pod, spec: { ...pod.spec, nodeName: node } }));
    },
    async patchStatus(namespace, name, { phase, ip }) {
      cluster.patchStatus(namespace, name, { phase, ...(ip === undefined ? {} : { ips: [ip] }) });
    },
    async setLabels(namespace, name, changes) {
      cluster.updatePod(namespace, name, (pod) => {
        const labels = new Map<string, string | null>(Object.entries({ ...pod.metadata.labels, ...changes }));
        for (const [key, value] of labels) if (value === null) labels.delete(key);
        return { ...pod, metadata: { ...pod.metadata, labels: Object.fromEntries(labels) as Record<string, string> } };
      });
    },
    async deletePod(namespace, name) {
      cluster.deletePod(namespace, name);
    },
    async createNamespace(name, labels) {
      cluster.createNamespace(name, labels);
    },
    async setNamespaceLabels(name, labels) {
      cluster.labelNamespace(name, labels);
    },
    async deleteNamespace(name) {
      cluster.deleteNamespace(name);
    },
    async writeEndpointSlice({ namespace, name, labels, addressType, endpoints }) {
      cluster.createNamespace(namespace);
      const known = cluster.endpointSlices.get(namespace, name)?.metadata;
      const uid = known?.uid ?? cluster.random.uid();
      const metadata = { name, namespace, uid, creationTimestamp: cluster.time, labels };
      cluster.endpointSlices.put({
        metadata: { ...metadata, generation: (known?.generation ?? 0) + 1 },
        addressType,
        endpoints: endpoints.map((endpoint) => ({ ...endpoint, conditions: endpoint.conditions ?? {} })),
        ports: null,
      });
    },
    async deleteEndpointSlice(namespace, name) {
      cluster.endpointSlices.delete(namespace, name);
    },
    async bump() {
      cluster.store.tick();
    },
    async forgetHistory() {
      await simulator.down();
      await simulator.up();
    },
    close: async () => await simulator.close(),
  };
}

describe('lists and watches of the simulator', () => listWatchContract(simulated));
