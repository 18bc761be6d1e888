import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { request } from 'undici';
import { startDemo } from '../support/demo.ts';
import { freePorts } from '../support/free-ports.ts';
import { PodwhoisProcess } from '../support/podwhois-process.ts';
import { whyProxyMissing } from '../support/server-binaries.ts';
import { until } from '../support/until.ts';
import { replaced, snippet } from './support/pages.ts';
import { startCaddy } from './support/proxies.ts';

const PAGE = 'docs/forward-auth.md';

test(
  'forward auth can be tried on one machine, as its page says',
  { skip: whyProxyMissing('debian-caddy') },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'podwhois-one-machine-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const apiServer = (await startDemo(t, { args: ['--port', '0'] })).place('API server');
    const commands = snippet(PAGE, 'one machine');

    const FORWARD_AUTH_RULES = join(folder, 'rules.yaml');
    writeFileSync(FORWARD_AUTH_RULES, snippet(PAGE, 'rules.yaml: one machine'));
    const said = Object.fromEntries(
      [...commands.matchAll(/\b([A-Z]\w+)=(\S+)/g)].map(([, name, value]) => [name, value]),
    );
    const [port = 0, own = 0] = await freePorts(2);
    const podwhois = await PodwhoisProcess.start(
      { ...said, K8S_API_SERVER: apiServer, PORT: String(own), FORWARD_AUTH_RULES },
      { port: own },
    );
    t.after(() => podwhois.stop());
    await podwhois.untilReady();

    const config = replaced(snippet(PAGE, 'Caddyfile: one machine'), {
      '127.0.0.1:8000': `127.0.0.1:${port}`,
      [`127.0.0.1:${said['PORT']}`]: `127.0.0.1:${own}`,
    });
    const caddy = startCaddy('debian-caddy', `{\n\tadmin off\n}\n${config}`, folder);
    t.after(() => caddy.stop());
    const call = async (path: string, headers: Record<string, string>): Promise<{ status: number; text: string }> => {
      const { statusCode, body } = await request(`http://127.0.0.1:${port}${path}`, { headers });
      return { status: statusCode, text: await body.text() };
    };
    await until('Caddy listens', async () => await call('/', {}).catch(() => undefined));

    const curls = [
      ...commands.matchAll(/^curl (?:-H 'X-Forwarded-For: (\S+)' )?http:\/\/[^/]+(\S+) +# (\d+), (.*)$/gm),
    ];
    assert.equal(curls.length, 3);
    for (const [line, client, path = '', status, text = ''] of curls) {
      const answer = await call(path, client === undefined ? {} : { 'x-forwarded-for': client });
      assert.deepEqual([String(answer.status), answer.text.includes(text)], [status, true], `${line}\n${answer.text}`);
    }
  },
);
