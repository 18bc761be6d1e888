import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import process from 'node:process';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { handmade, namespace } from '../cluster/objects.ts';
import { PLUGIN } from '../kubectl-whois/plugin.ts';
import { callFrom } from '../proxy/support/caller.ts';
import { replaced, snippet } from '../proxy/support/pages.ts';
import { startCaddy } from '../proxy/support/proxies.ts';
import { EgressProxy } from '../support/egress-proxy.ts';
import { freePorts } from '../support/free-ports.ts';
import { Kubectl } from '../support/kubectl.ts';
import { PodwhoisProcess } from '../support/podwhois-process.ts';
import { CLUSTER, HELM, realServer, startControlPlane } from '../support/real-servers.ts';
import { serverBinary, whyProxyMissing } from '../support/server-binaries.ts';
import { until } from '../support/until.ts';
import type { ControlPlane } from '../support/real-servers.ts';

const ROOT = join(import.meta.dirname, '../..');
const PAGE = 'docs/install.md';

/** The page's blocks of commands, in their order. */
const blocks = [...readFileSync(join(ROOT, PAGE), 'utf8').matchAll(/^```sh\n(.*?)^```$/gms)].map(
  ([, code]) => code ?? '',
);

interface Env {
  readonly name: string;
  readonly value: string;
}

const servers = realServer(...CLUSTER, ...HELM);
const skip = servers.skip === false ? whyProxyMissing('debian-caddy') : servers.skip;

describe('docs/install.md on a real control plane', { skip, timeout: 240_000 }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'install-'));
  const bin = join(dir, 'bin');
  let plane: ControlPlane;
  let egress: EgressProxy;
  let kubectl: Kubectl;
  let service: PodwhoisProcess | undefined;

  before(async () => {
    mkdirSync(bin);
    for (const name of ['helm', 'kubectl'] as const) symlinkSync(serverBinary(name), join(bin, name));
    symlinkSync(PLUGIN, join(bin, 'kubectl-whois'));
    symlinkSync(join(ROOT, 'charts'), join(dir, 'charts'));
    writeFileSync(join(dir, 'caddy.yaml'), snippet(PAGE, 'caddy.yaml'));
    egress = await EgressProxy.start(dir);
    plane = await startControlPlane({ apiServerFlags: { 'egress-selector-config-file': egress.configFile } });
    kubectl = new Kubectl(plane.kubeconfig);
  });
  after(async () => {
    await service?.stop();
    await plane?.down();
    egress?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  /** The next block of the page that is run; what it says. */
  let next = 0;
  async function runBlock(holds: string): Promise<{ code: number; stdout: string; stderr: string }> {
    while (blocks[next]?.startsWith('# not run by the tests')) next++;
    const block = blocks[next++] ?? '';
    assert.ok(block.includes(holds), `the page goes on with\n${block}\nand not with ${holds}`);
    const env = { PATH: `${bin}:${process.env['PATH']}`, HOME: dir, KUBECONFIG: plane.kubeconfig };
    const options = { cwd: dir, env, timeout: 100_000 };
    return await promisify(execFile)('sh', ['-euc', block], options).then(
      (output) => ({ code: 0, ...output }),
      (error: unknown) => error as { code: number; stdout: string; stderr: string },
    );
  }

  /** What the pods of the Deployment would be, had they a kubelet: podwhois with their environment, files and service account. */
  async function play(): Promise<PodwhoisProcess> {
    await service?.stop();
    const deployment = JSON.parse(
      await kubectl.run('get', 'deployment', 'podwhois', '--namespace', 'podwhois', '-o', 'json'),
    ) as {
      spec: { template: { spec: { serviceAccountName: string; containers: [{ env: readonly Env[] }] } } };
    };
    const { serviceAccountName, containers } = deployment.spec.template.spec;
    const token = (await kubectl.run('create', 'token', serviceAccountName, '--namespace', 'podwhois')).trim();
    const env = Object.fromEntries(containers[0].env.map(({ name, value }) => [name, value]));
    delete env['PORT'];
    const rules = env['FORWARD_AUTH_RULES'];
    if (rules !== undefined) {
      const map = await kubectl.run('get', 'configmap', 'podwhois-forward-auth', '-n', 'podwhois', '-o', 'json');
      env['FORWARD_AUTH_RULES'] = join(dir, 'rules.yaml');
      const { data } = JSON.parse(map) as { data: Record<string, string> };
      writeFileSync(env['FORWARD_AUTH_RULES'], data['rules.yaml'] ?? '');
    }
    const kubeconfig = plane.writeKubeconfig(join(dir, 'podwhois.kubeconfig'), { token });
    service = await PodwhoisProcess.start({ ...env, KUBECONFIG: kubeconfig });
    await service.untilReady();
    egress.port = Number(new URL(service.url).port);
    return service;
  }

  async function podOn(address: string, named: { namespace: string; name: string }, spec: object): Promise<void> {
    await kubectl.apply(handmade(named, spec));
    const status = JSON.stringify({ status: { phase: 'Running', podIP: address, podIPs: [{ ip: address }] } });
    const where = ['--namespace', named.namespace, '--subresource=status', '--type=merge'];
    await kubectl.run('patch', 'pod', named.name, ...where, '-p', status);
  }

  test('helm install, and the first answer', async () => {
    const installed = await runBlock('helm install podwhois');
    assert.equal(installed.code, 0, installed.stderr);
    await play();
    const asked = await runBlock('kubectl get --raw');
    assert.equal(asked.code, 0, asked.stderr);
    assert.match(asked.stdout, /^\{"name":"podwhois-[^"]+","namespace":"podwhois"/);
  });

  test('Caddy lets a pod call the functions of its own namespace, and nobody those of others', async (t) => {
    const applied = await runBlock('kubectl apply -f caddy.yaml');
    assert.equal(applied.code, 0, applied.stderr);
    const podwhois = await play();
    for (const [i, team] of ['team-a', 'team-b'].entries()) {
      await kubectl.apply(namespace(team));
      await podOn(`127.0.0.3${i + 1}`, { namespace: team, name: 'caller' }, {});
    }
    await podOn('127.0.0.1', { namespace: 'caddy', name: 'played' }, { serviceAccountName: 'caddy' });
    await until('podwhois has read them', async () => (await podwhois.whoHas('127.0.0.1')).status === 200);

    const map = JSON.parse(await kubectl.run('get', 'configmap', 'caddy', '-n', 'caddy', '-o', 'json')) as {
      data: { Caddyfile: string };
    };
    const [port = 0] = await freePorts(1);
    const site = replaced(map.data.Caddyfile, {
      ':8000': `:${port}`,
      'podwhois.podwhois:80': podwhois.url.replace('http://', ''),
    });
    const ours = '{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n}\n';
    const caddy = startCaddy('debian-caddy', ours + site, dir);
    t.after(async () => await caddy.stop());
    const call = async (from: string, path: string): Promise<readonly [number, string]> => {
      const { status, body } = await callFrom(from, port, { path });
      return [status, body];
    };
    await until('Caddy answers', async () => (await call('127.0.0.31', '/').catch(() => [0]))[0] !== 0);
    assert.deepEqual(await call('127.0.0.31', '/fn/team-a/hello'), [200, 'hello team-a/caller']);
    assert.deepEqual(await call('127.0.0.32', '/fn/team-b/hello'), [200, 'hello team-b/caller']);
    for (const [from, path] of [
      ['127.0.0.31', '/fn/team-b/hello'],
      ['127.0.0.32', '/fn/team-a/hello'],
      ['127.0.0.33', '/fn/team-a/hello'],
      ['127.0.0.31', '/'],
    ] as const) {
      assert.equal((await call(from, path))[0], 403, `${from} ${path}`);
    }
  });

  test('the first pod-watcher is replaced under its own name and port; kubectl whois answers; all is removed', async () => {
    const moved = await runBlock('helm install pod-watcher');
    assert.equal(moved.code, 0, moved.stderr);
    const { spec } = parse(await kubectl.run('get', 'service', 'pod-watcher', '-n', 'pod-watcher', '-o', 'yaml')) as {
      spec: { ports: { port: number }[] };
    };
    assert.equal(spec.ports[0]?.port, 8080);

    await kubectl.run('delete', 'service', 'pod-watcher', '-n', 'pod-watcher'); // two podwhois: none would be asked
    const shown = await runBlock('kubectl whois');
    assert.ok(shown.code === 0 || shown.code === 1, shown.stderr);
    assert.match(shown.stdout, /^IP +NAMESPACE .*SERVICE-ACCOUNT/);
    assert.match(shown.stdout, / podwhois +podwhois-/);
    assert.match(shown.stderr, /^(kubectl whois: answered by podwhois, podwhois\/podwhois:http\n){2}$/);

    const removed = await runBlock('helm uninstall');
    assert.equal(removed.code, 0, removed.stderr);
    assert.ok(
      !(await kubectl.run('get', 'clusterroles,clusterrolebindings', '-o', 'name')).includes('podwhois-podwhois'),
    );
    assert.deepEqual(blocks.slice(next), []);
  });
});
