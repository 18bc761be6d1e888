import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readLoosely } from './support/echo-upstream.ts';
import { PROXIES } from './support/proxies.ts';
import { CALLERS, Stage } from './support/stage.ts';

// What the pages warn of is true: a configuration that leaves it out lets callers forge. Nothing of this is podwhois' to prevent.

const ANY_OF_TEAM_A = 'rules: [{ name: team-a, match: {}, namespace: team-a, allow: [{ podSelector: {} }] }]\n';

/** How each page names the header X-Pod-Node among those that the proxy overwrites. */
const NAMES_NODE =
  / X-Pod-Node(?= X)|X-Pod-Node,|^ *proxy_set_header X-Pod-Node .*\n|^ *- X-Pod-Node\n|^ *- \{ exact: x-pod-node.*\n/m;

for (const proxy of PROXIES) {
  suite(`${proxy.name}: what its page warns of`, { skip: proxy.skip }, () => {
    test('an identity header that is not named reaches the service as the caller wrote it', async () => {
      let edited = false;
      const edit = (config: string): string => {
        edited ||= NAMES_NODE.test(config);
        return config.replace(NAMES_NODE, '');
      };
      const rules = proxy.constraint ? {} : { rules: ANY_OF_TEAM_A };
      await using stage = await Stage.start(proxy, { edit, ...rules });
      assert.ok(edited);
      const { seen } = await stage.from(CALLERS.teamA, { headers: ['X-Pod-Node: forged', 'X-Pod-Name: forged'] });
      assert.deepEqual(readLoosely(seen[0], 'X-Pod-Node'), ['forged']);
      assert.deepEqual(readLoosely(seen[0], 'X-Pod-Name'), ['hello']);
    });
  });
}

const BY_HOST = `
rules:
  - { name: admin, match: { host: admin.example }, namespace: team-b, allow: [{ podSelector: {} }] }
  - { name: the rest, match: {}, namespace: team-a, allow: [{ podSelector: {} }] }
`;

for (const proxy of PROXIES.filter(({ page }) => page === 'docs/proxies/caddy.md')) {
  suite(`${proxy.name}: what its page warns of besides`, { skip: proxy.skip }, () => {
    test('without the "?" behind /authorize every request that has a query is denied', async () => {
      const edit = (config: string): string => config.replace('uri /authorize?', 'uri /authorize');
      await using stage = await Stage.start(proxy, { by: 'rules', rules: ANY_OF_TEAM_A, edit });
      assert.equal((await stage.from(CALLERS.teamA, { path: '/x' })).status, 200);
      for (const path of ['/x?y=z', '/x?namespace=team-a']) {
        const { status, body, seen } = await stage.from(CALLERS.teamA, { path });
        assert.deepEqual([status, seen], [400, []], path);
        assert.match(body, /caller-query/);
      }
    });

    test('whom trusted_proxies lists chooses the host that the rules see, but not the address', async () => {
      const edit = (config: string): string => config.replace('\t\turi', '\t\ttrusted_proxies 127.0.0.0/8\n\t\turi');
      await using stage = await Stage.start(proxy, { by: 'rules', rules: BY_HOST, edit });
      const ask = async (...headers: string[]): Promise<number> =>
        (await stage.from(CALLERS.teamA, { host: 'admin.example', headers })).status;
      assert.equal(await ask(), 403);
      assert.equal(await ask('X-Forwarded-Host: app.example'), 200);
      const forged = { host: 'app.example', headers: [`X-Forwarded-For: ${CALLERS.teamA}`] };
      assert.equal((await stage.from(CALLERS.teamB, forged)).status, 403);
    });
  });
}
