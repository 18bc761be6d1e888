import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { readLoosely } from './support/echo-upstream.ts';
import { PROXIES } from './support/proxies.ts';
import { CALLERS, Stage } from './support/stage.ts';

// team-a may go everywhere but to the front page and under /admin, which are team-b's. What reaches the service must be none of these
// for any reader of its path, however it decodes, merges or resolves.

const RULES = `
rules:
  - name: admin
    match: { path: '/admin/**' }
    namespace: team-b
    allow: [{ podSelector: {} }]
  - name: one's own
    match: { path: '/fn/{namespace}/**' }
    allow: [{ pod: { sameNamespaceAs: '{namespace}' } }]
  - name: only by POST
    match: { path: /submit, methods: [POST] }
    namespace: team-a
    allow: [{ podSelector: {} }]
  - name: submit otherwise
    match: { path: /submit }
    namespace: team-b
    allow: [{ podSelector: {} }]
  - name: the front page
    match: { path: / }
    namespace: team-b
    allow: [{ podSelector: {} }]
  - name: the office
    match: { path: '/office/**' }
    allow: [{ ipBlock: { cidr: 127.0.0.0/8 } }]
  - name: the rest
    match: { path: '/**' }
    namespace: team-a
    allow: [{ podSelector: {} }]
`;

const RULES_BY_HOST = `
rules:
  - name: admin
    match: { host: admin.example }
    namespace: team-b
    allow: [{ podSelector: {} }]
  - name: the rest
    match: {}
    namespace: team-a
    allow: [{ podSelector: {} }]
`;

const ODD_PATHS = `
  /admin /admin/ /admin/x //admin/x ///admin /./admin /x/../admin /x/%2e%2e/admin /x/.%2E/admin
  /ADMIN/x /Admin /%61dmin/x /adm%69n /%2561dmin /admin%2fx /admin%2Fx /%2fadmin /x%2f..%2fadmin
  /admin%5cx /x\\..\\admin /admin\\x /admin;v=1/x /x;/../admin /admin%00 /admin%20 /admin%09/x
  /.%00./admin /x/..;/admin /..;/admin /%c0%ae%c0%ae/admin /admin%ff /x/%252e%252e/admin /admin. /admin..
  /x/..%2fadmin /x/..%5cadmin /x//../admin /x/.//../admin /admin?x=/y /?/../admin /x?y#/admin /x#/../admin
  http://app.example/admin http://app.example//admin http://app.example/x/../admin /x/..//admin /%e2%80%8b/../admin
  / // /. /x/.. /%2e /;a /?x=/y http://app.example http://app.example/ http://app.example?/x http://app.example#/x`
  .trim()
  .split(/\s+/);

/** All readings of a path that a server may have: decoded none to three times, `\` as `/`, parameters cut or not, dots resolved or not. */
function readings(url: string): Set<string> {
  const found = new Set<string>();
  let path = url.replace(/^https?:\/\/[^/?#]*/i, '').split(/[?#]/)[0] ?? '';
  for (let round = 0; round < 4; round++) {
    for (const cut of [path, path.replace(/;[^/]*/g, ''), path.replace(/[\0\t ]/g, '')]) {
      for (const slashes of [cut, cut.replaceAll('\\', '/')]) {
        const segments: string[] = [];
        for (const segment of slashes.split('/')) {
          if (segment === '..') segments.pop();
          else if (segment !== '.' && segment !== '') segments.push(segment);
        }
        found.add(`/${segments.join('/')}`.toLowerCase());
        found.add(slashes.replace(/\/+/g, '/').toLowerCase());
      }
    }
    path = path.replace(/%[0-9a-f]{2}/gi, (code) => String.fromCharCode(Number.parseInt(code.slice(1), 16)));
  }
  return found;
}

const isUnder = (url: string, folder: string): boolean =>
  [...readings(url)].some((one) => one === folder || one.startsWith(`${folder}/`));

const isFrontPage = (url: string): boolean => readings(url).has('/');

for (const proxy of PROXIES) {
  suite(`${proxy.name}: rules`, { skip: proxy.skip }, () => {
    let stage: Stage;
    before(async () => {
      stage = await Stage.start(proxy, { by: 'rules', rules: RULES });
    });
    after(async () => await stage[Symbol.asyncDispose]());

    const reaches = async (address: string, request: Parameters<Stage['from']>[1]): Promise<boolean> => {
      const { status, seen } = await stage.from(address, request);
      assert.equal(status === 200, seen.length === 1, `status ${status}, ${seen.length} reached the service`);
      return seen.length === 1;
    };

    test('the first rule that fits decides', async () => {
      assert.ok(await reaches(CALLERS.teamA, { path: '/x/y?z=1' }));
      assert.ok(!(await reaches(CALLERS.teamB, { path: '/x/y?z=1' })));
      assert.ok(await reaches(CALLERS.teamB, { path: '/admin/x' }));
      assert.ok(!(await reaches(CALLERS.teamA, { path: '/admin/x' })));
    });

    test('no spelling of a path slips past its rule', async () => {
      let passed = 0;
      for (const path of ODD_PATHS) {
        const { seen } = await stage.from(CALLERS.teamA, { path });
        passed += seen.length;
        for (const { url } of seen) {
          assert.ok(!isUnder(url, '/admin') && !isFrontPage(url), `${path} reached the service as ${url}`);
        }
      }
      assert.ok(passed < ODD_PATHS.length / 2, 'most are refused');
    });

    test('no spelling of a path names another namespace than the service reads', async () => {
      for (const path of [
        '/fn/team-b/x',
        '/fn/team-a/../team-b/x',
        '/fn//team-b/x',
        '/fn/team-a%2f..%2fteam-b/x',
        '/fn/team%2db/x',
      ]) {
        const { seen } = await stage.from(CALLERS.teamA, { path });
        for (const { url } of seen) assert.ok(!isUnder(url, '/fn/team-b'), `${path} reached the service as ${url}`);
      }
      assert.ok(await reaches(CALLERS.teamA, { path: '/fn/team-a/x' }));
      assert.ok(await reaches(CALLERS.teamB, { path: '/fn/team-b/x' }));
    });

    test('a host that reads like a path does not hide the path', async () => {
      for (const host of [
        'app.example?',
        'app.example#',
        'app.example?/x',
        'x@app.example',
        'app.example%2fx',
        'app.example:80?',
        'a b',
      ]) {
        const { seen } = await stage.from(CALLERS.teamA, { host, path: '/admin/x' });
        assert.deepEqual(seen, [], host);
      }
    });

    test('the method is the one that the caller used', async () => {
      assert.ok(await reaches(CALLERS.teamA, { path: '/submit', method: 'POST', body: '{}' }));
      assert.ok(!(await reaches(CALLERS.teamA, { path: '/submit', method: 'PUT', body: '{}' })));
      assert.ok(!(await reaches(CALLERS.teamA, { path: '/submit' })));
      for (const forged of ['X-Forwarded-Method: POST', 'X-Original-Method: POST', 'X-HTTP-Method-Override: POST']) {
        assert.ok(!(await reaches(CALLERS.teamA, { path: '/submit', headers: [forged] })), forged);
      }
    });

    test("an ipBlock admits an address that is no pod's, with a dash for everything that only pods have", async () => {
      const { status, seen } = await stage.from(CALLERS.nobody, { path: '/office/x' });
      assert.deepEqual([status, seen.length], [200, 1]);
      const headers = Object.fromEntries((seen[0]?.headers ?? []).map(([name, value]) => [name.toLowerCase(), value]));
      assert.deepEqual([headers['x-pod-ip'], headers['x-pod-name'], headers['x-pod-namespace']], ['-', '-', '-']);
      for (const who of ['teamA', 'twice', 'finished', 'overdue'] as const) {
        assert.ok(!(await reaches(CALLERS[who], { path: '/office/x' })), who);
      }
    });
  });

  suite(`${proxy.name}: rules by host`, { skip: proxy.skip }, () => {
    let stage: Stage;
    before(async () => {
      stage = await Stage.start(proxy, { by: 'rules', rules: RULES_BY_HOST });
    });
    after(async () => await stage[Symbol.asyncDispose]());

    const reaches = async (address: string, request: Parameters<Stage['from']>[1]): Promise<boolean> =>
      (await stage.from(address, request)).seen.length === 1;

    if (proxy.tellsHost) {
      test('the host is the one that the proxy was asked for', async () => {
        assert.ok(await reaches(CALLERS.teamA, {}));
        assert.ok(await reaches(CALLERS.teamB, { host: 'admin.example' }));
        for (const host of ['admin.example', 'ADMIN.example:80', 'admin.example.']) {
          assert.ok(!(await reaches(CALLERS.teamA, { host })), host);
        }
        const forged = [
          'X-Forwarded-Host: app.example',
          'X-Original-URL: http://app.example/',
          'Forwarded: host=app.example',
        ];
        for (const header of forged) {
          assert.ok(!(await reaches(CALLERS.teamA, { host: 'admin.example', headers: [header] })), header);
        }
      });
    } else {
      test('a host that is not known is denied where a rule asks for it', async () => {
        for (const who of ['teamA', 'teamB'] as const) assert.ok(!(await reaches(CALLERS[who], {})), who);
      });
    }

    test('of two hosts in one request neither lets pass whom the other would not', async () => {
      for (const [host, path] of [
        ['app.example', 'http://admin.example/x'],
        ['admin.example', 'http://app.example/x'],
      ] as const) {
        const { seen } = await stage.from(CALLERS.teamA, { host, path });
        for (const one of seen) assert.deepEqual(readLoosely(one, 'Host'), ['app.example'], `${host} ${path}`);
        if (!proxy.tellsHost) assert.deepEqual(seen, []);
      }
    });
  });
}
