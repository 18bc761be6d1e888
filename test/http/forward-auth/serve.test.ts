import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { request } from 'undici';
import { startSimulator } from '../../../src/simulator/simulator.ts';
import { podwhois } from '../../support/cli.ts';
import { PodwhoisProcess } from '../../support/podwhois-process.ts';
import { until } from '../../support/until.ts';

const RULES = `
rules:
  - name: team a
    match: {}
    allow: [{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: team-a } } }]
`;

test('podwhois serve answers preflights by a rules file that needs the labels of namespaces, and says so when it audits', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'podwhois-serve-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const rules = join(folder, 'rules.yaml');
  writeFileSync(rules, RULES);
  const simulator = await startSimulator({ pods: 10 });
  t.after(() => simulator.close());
  simulator.cluster.createPod({ namespace: 'team-a', name: 'a', ips: ['10.200.0.1'] });
  simulator.cluster.createPod({ namespace: 'team-b', name: 'b', ips: ['10.200.0.2'] });
  const environment = { K8S_API_SERVER: simulator.url, FORWARD_AUTH_RULES: rules, TRUSTED_PROXIES: '127.0.0.1' };
  const statuses = async ({ url }: PodwhoisProcess): Promise<number[]> =>
    await Promise.all(
      ['10.200.0.1', '10.200.0.2'].map(async (ip) => {
        const { statusCode, body } = await request(`${url}/authorize`, { headers: { 'x-forwarded-for': ip } });
        await body.dump();
        return statusCode;
      }),
    );

  const process = await PodwhoisProcess.start(environment);
  t.after(() => process.stop());
  await process.untilReady();
  assert.deepEqual(await statuses(process), [200, 403]);
  const { body } = await process.get('/ready?verbose');
  assert.match(JSON.stringify(body), /namespaces/);
  writeFileSync(rules, RULES.replace('team-a', 'team-b'));
  await until('the new rules are in force', async () => (await statuses(process)).join() === '403,200');
  process.child.signal('SIGINT');
  assert.equal(await until('it ends', () => process.child.ended), '0');

  const audit = await PodwhoisProcess.start({ ...environment, FORWARD_AUTH_AUDIT: 'true' });
  t.after(() => audit.stop());
  await audit.untilReady();
  assert.deepEqual(await statuses(audit), [200, 200]);
  assert.ok(audit.logged().some((line) => line.includes('"warn"') && line.includes('FORWARD_AUTH_AUDIT is on')));
});

test('podwhois serve with a wrong rules file ends with exit code 2 and says where it is wrong', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'podwhois-serve-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const rules = join(folder, 'rules.yaml');
  writeFileSync(rules, 'rules:\n  - name: a\n    match: {}\n    allow: []\n');
  const environment = {
    K8S_API_SERVER: 'http://127.0.0.1:1',
    PORT: '0',
    HOST: '127.0.0.1',
    TRUSTED_PROXIES: '10.0.0.1',
  };
  const { code, stderr } = await podwhois(['serve', '--forward-auth-rules', rules], { environment });
  assert.equal(code, 2);
  assert.match(stderr, /FORWARD_AUTH_RULES[^\n]*\n.*rules\.yaml:4:\d+: /);
});
