import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { parse } from 'yaml';
import { cannedPodwhois, miss, pod } from '../support/canned-podwhois.ts';
import { podwhois } from '../support/cli.ts';
import { realServer } from '../support/real-servers.ts';
import { cannedApiServer, list, LOOKUP, PODS, service, SERVICES } from './canned-api-server.ts';
import { installed, Machine, PLUGIN, SYSTEMS } from './plugin.ts';
import type { Canned } from '../support/canned-podwhois.ts';
import type { Answer, CannedApiServer } from './canned-api-server.ts';

const ROOT = join(import.meta.dirname, '../..');

const AMBIGUOUS = {
  status: 409,
  code: 'ambiguous',
  candidates: [
    { namespace: 'shop', name: 'a', uid: '1' },
    { namespace: 'shop', name: 'b', uid: '2' },
  ],
};

/** As podwhois behind the API server's proxy answers. */
const answering =
  (answers: Readonly<Record<string, Canned>>) =>
  (ips: readonly string[]): Answer => ({
    body: JSON.stringify({ results: ips.map((ip) => ({ ip, ...(answers[ip] ?? miss('no-pod')) })) }),
  });

const withPodwhois = async (answer: CannedApiServer['answers'][string]): Promise<CannedApiServer> =>
  await cannedApiServer({ [SERVICES]: list('Service', [service('podwhois')]), [LOOKUP]: answer });

const apiPod = (name: string, ip: string, more: object = {}): object => ({
  kind: 'Pod',
  apiVersion: 'v1',
  metadata: { namespace: 'shop', name, uid: `uid-${name}`, resourceVersion: '7', ...more },
  spec: { containers: [] },
  status: { phase: 'Running', podIP: ip, podIPs: [{ ip }] },
});

test('shellcheck finds nothing', installed('shellcheck'), () => {
  execFileSync('shellcheck', ['--shell=sh', '--severity=style', PLUGIN], { encoding: 'utf8' });
});

test('the manifest for krew names this version, and the archive with this script in it', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'podwhois-krew-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const archive = join(folder, 'kubectl-whois.tar.gz');
  execFileSync(join(ROOT, '.build/plugin.sh'), [archive]);
  const sum = createHash('sha256').update(readFileSync(archive)).digest('hex');
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const { spec } = parse(readFileSync(join(dirname(PLUGIN), 'whois.yaml'), 'utf8')) as {
    spec: { version: string; platforms: { uri: string; sha256: string; files: { from: string }[]; bin: string }[] };
  };
  assert.equal(spec.version, `v${version}`);
  for (const { uri, sha256, files, bin } of spec.platforms) {
    assert.ok(uri.endsWith(`/v${version}/kubectl-whois.tar.gz`));
    assert.equal(sha256, sum, 'write this sum into src/kubectl-whois/whois.yaml');
    execFileSync('tar', ['-xzf', archive, '-C', folder]);
    for (const { from } of files) assert.ok(existsSync(join(folder, from)), from);
    assert.deepEqual(readFileSync(join(folder, bin)), readFileSync(PLUGIN));
    assert.equal(statSync(join(folder, bin)).mode & 0o777, 0o755);
  }
});

for (const system of SYSTEMS) {
  const needed = [realServer('kubectl'), ...(system === 'busybox' ? [installed('busybox')] : [])];
  const skip = needed.map((one) => one.skip).find((reason) => reason !== false) ?? false;

  describe(`kubectl whois with ${system} tools`, { skip, concurrency: 2, timeout: 120_000 }, () => {
    const machine = skip === false ? new Machine(system) : undefined;
    after(() => machine?.remove());
    const whois = async (server: CannedApiServer, args: readonly string[], input?: string) =>
      await (machine as Machine).whois([...args, '--server', server.url], input === undefined ? {} : { input });

    test('shows what podwhois lookup shows, with its exit codes, and says who answered', async () => {
      const answers = {
        '10.0.0.1': pod('web-1', { terminating: true }),
        '10.0.0.2': AMBIGUOUS,
        'fd00::1': pod('bare', { workload: null, node_name: '' }),
        x: { status: 400, code: 'invalid_ip' },
        '10.0.0.4': { status: 503, code: 'unreadable' },
        '10.0.0.5': miss('host-network'),
      };
      await using server = await withPodwhois(answering(answers));
      await using reference = await cannedPodwhois(answers);
      for (const [ips, code] of [
        [['10.0.0.1', 'fd00::1'], 0],
        [['10.0.0.1', '10.0.0.2'], 1],
        [['10.0.0.9', '10.0.0.5', '10.0.0.1'], 1],
        [['10.0.0.1', 'x', '10.0.0.9'], 2],
        [['10.0.0.4', '10.0.0.2', '10.0.0.1', '10.0.0.1'], 2],
      ] as const) {
        for (const format of ['table', 'wide']) {
          const shown = await whois(server, [...ips, '-o', format]);
          const { stdout } = await podwhois(['lookup', ...ips, '-o', format, '--server', reference.url]);
          assert.deepEqual(shown, {
            code,
            stdout,
            stderr: 'kubectl whois: answered by podwhois, podwhois/podwhois:http\n',
          });
        }
        const { stdout } = await whois(server, [...ips, '--output=json']);
        assert.deepEqual(
          JSON.parse(stdout),
          ips.map((ip) => ({ ip, ...((answers as Record<string, Canned>)[ip] ?? miss('no-pod')) })),
        );
      }
    });

    test('takes addresses from standard input and asks for a thousand at once', async () => {
      const ips = Array.from({ length: 2500 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
      await using server = await withPodwhois(answering(Object.fromEntries(ips.map((ip) => [ip, pod(`p-${ip}`)]))));
      const input = `${ips.slice(0, 1200).join('\n')}\r\n\n ${ips.slice(1200).join(', ')}`;
      const { code, stdout } = await whois(server, ['::9', '-'], input);
      assert.equal(code, 1);
      const column = stdout
        .split('\n')
        .slice(1, -1)
        .map((line) => line.split(/ +/)[0]);
      assert.deepEqual(column, ['::9', ...ips]);
      const asked = server.requests.flatMap(({ ips }) => (ips ? [ips.length] : []));
      assert.deepEqual(asked, [1000, 1000, 501]);
    });

    test('flags for the cluster and the user go to kubectl, in every request', async () => {
      await using server = await withPodwhois({ status: 500, body: 'no' });
      server.answers[PODS] = list('Pod', [apiPod('web-1', '10.0.0.1')]);
      assert.equal((await whois(server, ['--as', 'jane', '10.0.0.1', '--request-timeout=7s'])).code, 0);
      const paths = server.requests.map(({ target, as }) => [target.split('?')[0], as]);
      assert.deepEqual(paths, [
        [`GET ${SERVICES}`, 'jane'],
        [`POST ${LOOKUP}`, 'jane'],
        [`GET ${PODS}`, 'jane'],
      ]);
    });

    test('what may be taken for a flag, a body or a path is refused before anybody is asked', async () => {
      await using server = await withPodwhois(answering({}));
      for (const args of [
        [],
        ['--frobnicate'],
        ['-o', 'xml', '::1'],
        ['-o'],
        ['10.0.0.1"'],
        ['10.0.0.1\\'],
        ['a b'],
        ['\u001b[31m'],
        ['é'],
        ['::1', '--service', 'podwhois'],
        ['::1', '--service', 'podwhois/../secrets'],
        ['::1', '--service=a/b?c'],
        ['::1', '--service=a/b/c'],
      ]) {
        const { code, stdout, stderr } = await whois(server, args);
        assert.deepEqual([code, stdout], [2, ''], args.join(' '));
        assert.match(stderr, /^kubectl whois: [ -~]+\n$/);
      }
      assert.deepEqual(await whois(server, ['-'], ' \n'), {
        code: 2,
        stdout: '',
        stderr: 'kubectl whois: no address is given; see kubectl whois --help\n',
      });
      assert.deepEqual(server.requests, []);
    });

    test('asks the Service that --service or KUBECTL_WHOIS_SERVICE names, over TLS where it says so', async () => {
      const path = (service: string): string => `/api/v1/namespaces/ops/services/${service}/proxy/pods/lookup`;
      for (const [given, asked] of [
        ['ops/who', 'who:http'],
        ['ops/who:8080', 'who:8080'],
        ['ops/https:who', 'https:who:http'],
        ['ops/https:who:443', 'https:who:443'],
      ] as const) {
        await using server = await cannedApiServer({ [path(asked)]: answering({ '::1': pod('a') }) });
        assert.equal((await whois(server, ['::1', '--service', given])).code, 0);
        const environment = { KUBECTL_WHOIS_SERVICE: given };
        assert.equal((await (machine as Machine).whois(['::1', `--server=${server.url}`], { environment })).code, 0);
        assert.deepEqual(server.requests.length, 2);
      }
      for (const [ports, asked] of [
        [[{ port: 9 }], 'podwhois:9'],
        [
          [
            { name: 'preflight', port: 81 },
            { name: 'http', port: 80 },
            { name: 'metrics', port: 82 },
          ],
          'podwhois:http',
        ],
        [[{ name: 'http', port: 80, appProtocol: 'https' }], 'https:podwhois:http'],
      ] as const) {
        await using server = await cannedApiServer({
          [SERVICES]: list('Service', [service('ops', ports)]),
          [path(asked)]: answering({ '::1': pod('a') }),
        });
        assert.equal((await whois(server, ['::1'])).code, 0, asked);
      }
    });

    test('reads the pods itself when podwhois is not there, is there twice, or does not answer as it does', async () => {
      const rows = (...results: unknown[]): Answer => ({ body: JSON.stringify({ results }) });
      const found = list('Service', [service('podwhois')]);
      const cases: [string, Answer, Answer][] = [
        ['no podwhois is installed', list('Service', []), rows()],
        ['there are several podwhois', list('Service', [service('podwhois'), service('evil')]), rows()],
        ['podwhois cannot be looked for', { status: 403, body: '{}' }, rows()],
        ['does not answer', found, { status: 403, body: '{}' }],
        ['does not answer', found, { status: 401, body: '{}' }],
        ['does not answer', found, { status: 503, body: '{}' }],
        ...[
          { body: '<h1>welcome</h1>' },
          { body: '' },
          { body: '{}' },
          { body: '{"results":[' },
          { body: '{"results":[{"ip":"10.0.0.1","status":200,"pod":{"uid":"x"}' },
          rows({ ip: '10.0.0.1', status: 404 }),
          rows({ ip: '::2', status: 404 }, { ip: '10.0.0.1', status: 404 }),
          rows({ ip: '10.0.0.1', status: 200 }, { ip: '::2', status: 404 }),
          rows({ ip: '10.0.0.1', status: 200, pod: null }, { ip: '::2', status: 404 }),
          rows({ ip: '10.0.0.1', status: 200, pod: { uid: 'x' } }, { ip: '::2', status: 404, pod: { uid: 'x' } }),
          rows(
            { ip: '10.0.0.1', status: 200, pod: { uid: 'x' } },
            { ip: '::2', status: 404 },
            { ip: '::2', status: 404 },
          ),
          rows(null, 1),
          { body: '[{"ip":"10.0.0.1","status":404},{"ip":"::2","status":404}]' },
        ].map((answer): [string, Answer, Answer] => ['is not podwhois', found, answer]),
      ];
      for (const [why, services, answer] of cases) {
        await using server = await cannedApiServer({ [SERVICES]: services, [LOOKUP]: answer });
        server.answers[PODS] = list('Pod', [apiPod('web-1', '10.0.0.1')]);
        const { code, stdout, stderr } = await whois(server, ['10.0.0.1', '::2']);
        const [, first = '', second = ''] = stdout.split('\n');
        assert.match(first, /^10\.0\.0\.1 +shop +web-1 /, answer.body);
        assert.match(second, /^::2 .*none \(no-pod\)$/);
        assert.equal(code, 1);
        assert.ok(stderr.includes(why) && stderr.endsWith(': reading pods from the API server\n'), stderr);
      }
    });

    test('half a list of pods is none', async () => {
      let page = 0;
      const first = JSON.stringify({
        kind: 'PodList',
        apiVersion: 'v1',
        metadata: { continue: 'more' },
        items: [apiPod('web-1', '10.0.0.1')],
      });
      await using server = await cannedApiServer({
        [SERVICES]: list('Service', []),
        [PODS]: () => (page++ % 2 === 0 ? { body: first } : { status: 403, body: '{}' }),
      });
      for (const args of [['10.0.0.1'], ['10.0.0.1', '-o', 'json']]) {
        const { code, stdout, stderr } = await whois(server, args);
        assert.deepEqual([code, stdout], [2, '']);
        assert.match(stderr, /the pods could not be read\n$/);
      }
      assert.equal(page, 4);
    });

    test('an address of a pod that is none leaves its other addresses unanswered, and nobody else', async () => {
      const odd = apiPod('odd', '10.0.0.1');
      Object.assign(odd, {
        status: { phase: 'Running', podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }, { ip: '010.0.0.2' }] },
      });
      await using server = await cannedApiServer({ [SERVICES]: list('Service', []) });
      server.answers[PODS] = list('Pod', [odd, apiPod('web', '10.0.0.2'), apiPod('other', '10.0.0.1')]);
      const { code, stdout } = await whois(server, ['10.0.0.1', '10.0.0.2']);
      assert.equal(code, 2);
      assert.match(stdout, /^10\.0\.0\.1 .* error 503 unreadable\n10\.0\.0\.2 +shop +web /m);
    });

    test("other people's text cannot command the terminal, whoever answers, in any format", async () => {
      const evil = 'x\u001b]0;owned\u0007\u009b31m\u202e\u200b\u2028\n\r"\\\'end';
      const raw = { body: `{"results":[{"ip":"10.0.0.1","status":500,"code":"\u001b[31m\u009bé"}]}` };
      const canned = answering({
        '10.0.0.1': pod(evil, { labels: { [evil]: evil }, workload: { kind: evil, name: evil }, node_name: evil }),
        '10.0.0.2': { status: 409, code: evil, candidates: [{ namespace: evil, name: evil, uid: evil }] },
        '10.0.0.3': { status: 500, code: evil, message: evil },
        '10.0.0.4': miss(evil),
      });
      // As podwhois writes it: all ASCII.
      const ascii = (ips: readonly string[]): Answer => ({
        body: canned(ips).body.replace(/[^\n -~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`),
      });
      const pods = list('Pod', [
        apiPod(evil, '10.0.0.1', {
          labels: { [evil]: evil },
          ownerReferences: [{ controller: true, kind: evil, name: evil, uid: evil, apiVersion: evil }],
        }),
        apiPod('a', '10.0.0.2'),
        apiPod(evil, '10.0.0.2'),
      ]);
      const status = {
        status: 403,
        body: JSON.stringify({ kind: 'Status', status: 'Failure', message: evil, code: 403 }),
      };
      for (const [lookup, isJson] of [
        [ascii, true],
        [status, true],
        [raw, false],
      ] as const) {
        await using server = await withPodwhois(lookup);
        server.answers[PODS] = pods;
        const ips = lookup === raw ? ['10.0.0.1'] : ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'];
        for (const format of ['table', 'wide', 'json']) {
          const { stdout, stderr } = await whois(server, [...ips, '-o', format]);
          assert.doesNotMatch(stdout.replaceAll('\n', ''), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u, format);
          assert.match(stderr, /^[\n -~]*$/);
          if (format !== 'json') assert.equal(stdout.split('\n').length, 1 + ips.length + 1);
          else if (isJson) {
            const [first] = JSON.parse(stdout) as { pod: { name: string; labels: Record<string, string> } }[];
            assert.deepEqual([first?.pod.name, first?.pod.labels], [evil, { [evil]: evil }]);
          }
        }
      }
    });
  });
}
