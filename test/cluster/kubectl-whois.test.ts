import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { installed, Machine, SYSTEMS } from '../kubectl-whois/plugin.ts';
import { podwhois } from '../support/cli.ts';
import { EgressProxy } from '../support/egress-proxy.ts';
import { Kubectl } from '../support/kubectl.ts';
import { PodwhoisProcess } from '../support/podwhois-process.ts';
import { API_ONLY, realServer, startControlPlane } from '../support/real-servers.ts';
import { until } from '../support/until.ts';
import { EVERY_KIND_OF_POD } from './every-kind-of-pod.ts';
import { handmade, namespace } from './objects.ts';
import type { Ran } from '../support/cli.ts';
import type { ControlPlane } from '../support/real-servers.ts';

const running = (...ips: string[]): object => ({
  phase: 'Running',
  podIP: ips[0],
  podIPs: ips.map((ip) => ({ ip })),
  hostIP: '192.0.2.9',
});

/** Who claims what, beside EVERY_KIND_OF_POD. */
const CLAIMS: Readonly<Record<string, { readonly spec?: object; readonly status: object; readonly leaving?: true }>> = {
  'twin-b': { status: running('10.2.0.1', 'fd00::2:1') },
  'twin-a': { status: running('10.2.0.1') },
  second: { status: running('10.2.0.9', 'fd00::2:1') },
  leaving: { status: running('10.2.0.2'), leaving: true },
  heir: { status: running('10.2.0.2') },
  'leaving-alone': { status: running('10.2.0.3'), leaving: true },
  'leaving-one': { status: running('10.2.0.4'), leaving: true },
  'leaving-two': { status: running('10.2.0.4'), leaving: true },
  finished: { status: { ...running('10.2.0.5'), phase: 'Succeeded' } },
  ended: { status: { ...running('10.2.0.6'), phase: 'Failed' } },
  after: { status: running('10.2.0.6') },
  'on-the-node': { spec: { hostNetwork: true }, status: running('192.0.2.9', '2001:db8::9') },
  'on-another-node': { status: { ...running('10.2.0.7'), hostIP: '192.0.2.10', hostIPs: [{ ip: '192.0.2.10' }] } },
  impostor: { status: running('2001:db8::9') },
};

/** Addresses in every spelling, and what is none (rules D1, D2). */
const SPELLINGS = `
  10.2.0.3 ::ffff:10.2.0.3 ::FFFF:a02:3 0:0:0:0:0:ffff:10.2.0.3 ::10.2.0.3 010.2.0.3 10.2.0.03 10.2.3
  10.2.0.256 10.2.0.3. .10.2.0.3 10..2.0.3 10.2.0.3:80 [::1] ::1%lo 0x0a.2.0.3
  167903235 10.2.0.3/32 fd00::2:1 FD00::2:1 fd00:0:0:0:0:0:2:1 fd00:0000::0002:0001 fd00::0:2:1 fd00::00002:1
  fd00:::2:1 fd00::2::1 fd00:0:0:0:0:0:2:1: :fd00::2:1 fd00:0:0:0:0:2:1 1:2:3:4:5:6:7:: ::2:3:4:5:6:7:8 1:2:3:4:5:6:7:8:9
  1::2:3:4:5:6:7:8 fd00::0.2.0.1 fd00::2.1 fd00::0.2.0.01 :: : 1 g::
  ::ffff:0:10.2.0.3 64:ff9b::10.2.0.3 nobody 10.9.9.9 0000:0000:0000:0000:0000:ffff:010.002.000.003 0000:0000:0000:0000:0000:ffff:10.2.0.3 1:0:0:2:0:0:0:3 2001:db8:0::9
`.match(/\S+/g) as readonly string[];

const servers = realServer(...API_ONLY, 'kubectl');
const { skip } = servers.skip === false ? installed('busybox') : servers;

describe('kubectl whois on a real API server', { skip, timeout: 180_000 }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'whois-'));
  const machines = skip === false ? SYSTEMS.map((system) => [system, new Machine(system)] as const) : [];
  let egress: EgressProxy;
  let plane: ControlPlane;
  let kubectl: Kubectl;
  let service: PodwhoisProcess;
  let addresses: readonly string[];

  before(async () => {
    egress = await EgressProxy.start(dir);
    plane = await startControlPlane({
      apiOnly: true,
      apiServerFlags: { 'egress-selector-config-file': egress.configFile },
    });
    kubectl = new Kubectl(plane.kubeconfig);
    service = await PodwhoisProcess.start({ KUBECONFIG: plane.kubeconfig });
    egress.port = Number(new URL(service.url).port);
    await kubectl.apply(...['kinds', 'claims', 'a', 'a-b', 'podwhois'].map(namespace));
    for (const { pod, status, ephemeral } of EVERY_KIND_OF_POD) {
      const pods = '/api/v1/namespaces/kinds/pods';
      await write('POST', pods, pod);
      if (status) await write('PATCH', `${pods}/${pod.metadata.name}/status`, { status });
      if (ephemeral) await write('PATCH', `${pods}/${pod.metadata.name}/ephemeralcontainers`, ephemeral);
    }
    for (const [name, { spec, status, leaving }] of Object.entries(CLAIMS)) {
      await claim({ namespace: 'claims', name }, status, spec);
      if (leaving) await write('DELETE', `/api/v1/namespaces/claims/pods/${name}`);
    }
    for (const one of ['a-b', 'a']) await claim({ namespace: one, name: 'x' }, running('10.2.0.8'));
    await claim({ namespace: 'podwhois', name: 'podwhois-0' }, running('10.2.0.99'));
    await until('podwhois has read the last', async () => (await service.whoHas('10.2.0.99')).status === 200);
    const { items } = (await kubectl.raw('/api/v1/pods')) as {
      readonly items: readonly { readonly status: ApiStatus }[];
    };
    const held = items.flatMap(({ status }) =>
      [...(status.podIPs ?? []), ...(status.hostIPs ?? [])].map(({ ip }) => ip).concat(status.hostIP ?? []),
    );
    addresses = [...new Set([...held, ...SPELLINGS])];
    assert.ok(held.length > 30);
  });
  after(async () => {
    await service?.stop();
    await plane?.down();
    egress?.close();
    for (const [, machine] of machines) machine.remove();
    rmSync(dir, { recursive: true, force: true });
  });

  interface ApiStatus {
    readonly podIPs?: readonly { readonly ip: string }[];
    readonly hostIPs?: readonly { readonly ip: string }[];
    readonly hostIP?: string;
  }

  async function write(method: string, path: string, body: object = {}): Promise<void> {
    const type = method === 'PATCH' ? 'application/strategic-merge-patch+json' : 'application/json';
    const response = await plane.fetch(path, { method, headers: { 'content-type': type }, body: JSON.stringify(body) });
    assert.ok(response.ok, `${method} ${path}: ${await response.text()}`);
  }

  async function claim(named: { namespace: string; name: string }, status: object, spec: object = {}): Promise<void> {
    // The finalizer keeps it where it is when it is deleted.
    const { metadata, ...pod } = handmade(named, spec) as { readonly metadata: object };
    const finalizers = ['example.test/keep'];
    await write('POST', `/api/v1/namespaces/${named.namespace}/pods`, {
      ...pod,
      metadata: { ...metadata, finalizers },
    });
    await write('PATCH', `/api/v1/namespaces/${named.namespace}/pods/${named.name}/status`, { status });
  }

  const lookup = async (...args: readonly string[]): Promise<Ran> =>
    await podwhois(['lookup', '-', '--server', service.url, ...args], { input: addresses.join('\n') });

  for (const [system, machine] of machines) {
    const whois = async (...args: readonly string[]): Promise<Ran> =>
      await machine.whois(['-', '--kubeconfig', plane.kubeconfig, ...args], { input: addresses.join('\n') });

    test(`from the pods themselves it answers every kind of address as podwhois does (${system})`, async () => {
      const expected = await lookup('-o', 'json');
      const kinds = (
        JSON.parse(expected.stdout) as readonly { readonly status: number; readonly reason?: string }[]
      ).map(({ status, reason }) => reason ?? status);
      assert.deepEqual(new Set(kinds), new Set([200, 400, 409, 'no-pod', 'host-network', 'node', 'terminal']));
      const shown = await whois('-o', 'json');
      assert.equal(shown.stderr, 'kubectl whois: no podwhois is installed: reading pods from the API server\n');
      assert.equal(shown.code, expected.code);
      assert.deepEqual(JSON.parse(shown.stdout), JSON.parse(expected.stdout));
      for (const format of ['table', 'wide']) {
        assert.equal((await whois('-o', format)).stdout, (await lookup('-o', format)).stdout);
      }
    });

    test(`with --namespace it says that it does not see all (${system})`, async () => {
      const seen = await machine.whois([
        '-n',
        'claims',
        '10.2.0.3',
        '10.1.0.1',
        '-ojson',
        '--kubeconfig',
        plane.kubeconfig,
      ]);
      const [one, other] = JSON.parse(seen.stdout) as {
        readonly pod?: { readonly view: string };
        readonly reason?: string;
      }[];
      assert.deepEqual([seen.code, one?.pod?.view, other?.reason], [1, 'partial', 'not-in-view']);
    });
  }

  describe('with podwhois behind a Service', () => {
    before(async () => {
      const metadata = { name: 'podwhois', namespace: 'podwhois', labels: { 'app.kubernetes.io/name': 'podwhois' } };
      const ports = [{ name: 'http', port: 80, targetPort: 8080 }];
      const targetRef = { kind: 'Pod', namespace: 'podwhois', name: 'podwhois-0' };
      const subsets = [{ addresses: [{ ip: '10.2.0.99', targetRef }], ports: [{ name: 'http', port: 8080 }] }];
      await kubectl.apply(
        { apiVersion: 'v1', kind: 'Service', metadata, spec: { ports } },
        { apiVersion: 'v1', kind: 'Endpoints', metadata, subsets },
      );
    });

    for (const [system, machine] of machines) {
      test(`through the API server it shows what podwhois lookup shows (${system})`, async () => {
        const before = egress.targets.length;
        for (const format of ['table', 'wide', 'json']) {
          const args = ['-', '-o', format, '--kubeconfig', plane.kubeconfig];
          const shown = await machine.whois(args, { input: addresses.join('\n') });
          const expected = await lookup('-o', format);
          assert.equal(shown.stderr, 'kubectl whois: answered by podwhois, podwhois/podwhois:http\n');
          assert.equal(shown.code, expected.code);
          if (format === 'json') assert.deepEqual(JSON.parse(shown.stdout), JSON.parse(expected.stdout));
          else assert.equal(shown.stdout, expected.stdout);
        }
        assert.ok(egress.targets.slice(before).every((target) => target === '10.2.0.99:8080'));
      });
    }

    test('the right to create services/proxy of that Service is enough, and without it pods are read', async () => {
      const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name: 'whois', namespace: 'podwhois' } };
      const rule = {
        apiGroups: [''],
        resources: ['services/proxy'],
        resourceNames: ['podwhois:http'],
        verbs: ['create'],
      };
      const subject = { kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'jane' };
      const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'whois' };
      await kubectl.apply(
        { ...rbac, kind: 'Role', rules: [rule] },
        { ...rbac, kind: 'RoleBinding', roleRef, subjects: [subject] },
      );
      const [, machine] = machines[0] as (typeof machines)[number];
      const as = async (user: string, ...args: readonly string[]): Promise<Ran> =>
        await machine.whois(['10.2.0.3', '--kubeconfig', plane.kubeconfig, '--as', user, ...args]);
      const named = ['--service', 'podwhois/podwhois'];
      const jane = await until('the role holds', async () => {
        const ran = await as('jane', ...named);
        return ran.code === 0 && ran;
      });
      assert.match(jane.stderr, /answered by podwhois, podwhois\/podwhois:http\n$/);
      const john = await as('john', ...named);
      assert.deepEqual([john.code, john.stdout], [2, '']);
      assert.match(john.stderr, /cannot create resource "services\/proxy".*cannot list resource "pods"/s);
    });
  });
});
