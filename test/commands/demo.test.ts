import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { request } from 'undici';
import { MAIN, podwhois } from '../support/cli.ts';

interface Demo {
  readonly text: string;
  /** What the printed commands ask for, by the comment before each. */
  readonly urls: ReadonlyMap<string, string>;
  readonly end: (signal: NodeJS.Signals) => Promise<number | null>;
}

async function demo(t: TestContext, environment: Readonly<Record<string, string>> = {}): Promise<Demo> {
  const child = spawn(process.execPath, [MAIN, 'demo'], {
    env: { ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const lines: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    lines.push(line);
    if (line.startsWith('Ctrl-C')) break;
  }
  const urls = new Map<string, string>();
  for (const [i, line] of lines.entries()) {
    const url = /^ {2}curl (?:-N )?'(.*)'$/.exec(line)?.[1];
    if (url !== undefined) urls.set(lines[i - 1] ?? '', url);
  }
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    await once(child, 'exit');
    return child.exitCode;
  };
  return { text: lines.join('\n'), urls, end };
}

test('the demo answers within 10 s what it says it answers, and Ctrl-C ends it', async (t) => {
  const started = performance.now();
  const { text, urls, end } = await demo(t);
  assert.ok(performance.now() - started < 10_000);
  assert.match(text, /SIMULATION/);
  const ask = async (comment: string) => {
    const url = [...urls].find(([key]) => key.includes(comment))?.[1] ?? '';
    const { statusCode, body } = await request(url);
    return { status: statusCode, body: (await body.json()) as Record<string, unknown> };
  };
  const found = await ask('a pod of a Deployment');
  assert.deepEqual([found.status, (found.body['workload'] as { kind: string }).kind], [200, 'Deployment']);
  const terminating = await ask('being deleted');
  assert.deepEqual([terminating.status, terminating.body['terminating']], [200, true]);
  assert.equal((await ask('409')).status, 409);
  const host = await ask("a node's address");
  assert.deepEqual([host.status, host.body['reason']], [404, 'host-network']);
  assert.equal((await ask('by the page')).body['count'], 2);
  assert.equal((await ask('is it ready')).body['status'], 'ready');
  const metrics = await request([...urls].find(([key]) => key.includes('Prometheus'))?.[1] ?? '');
  assert.match(await metrics.body.text(), /^podwhois_pods \d+$/m);
  assert.equal(urls.size, 9);
  const hands = (await ask('changed hands')).body['history'] as { name: string; held_until: string | null }[];
  assert.deepEqual(
    hands.map(({ name, held_until: end }) => [name, end === null]),
    [
      ['first-holder', false],
      ['second-holder', true],
    ],
  );

  const stream = await request([...urls].find(([key]) => key.includes('what happens'))?.[1] ?? '');
  let events = '';
  for await (const chunk of stream.body) {
    events += String(chunk);
    // Daily life goes on: after the snapshot come changes.
    if (/event: sync[^]*event: (added|modified|deleted)/.test(events)) break;
  }

  const preflight = async (comment: string) => {
    const line = text.split('\n').findIndex((one) => one.includes(comment)) + 1;
    const [, name = '', value = '', url = ''] =
      / -H '([^:]+): ([^']+)' '([^']+)'/.exec(text.split('\n')[line] ?? '') ?? [];
    const { statusCode, headers, body } = await request(url, { headers: { [name]: value } });
    return { status: statusCode, caller: headers['x-pod-namespace'], text: await body.text() };
  };
  assert.deepEqual(await preflight('who calls in the headers'), { status: 200, caller: 'demo', text: '' });
  const uncertain = await preflight('a caller that is not certain');
  assert.equal(uncertain.status, 403);
  assert.match(uncertain.text, /"reason":"ambiguous"/);
  const [, question = ''] = /npm run podwhois -- (explain .*)/.exec(text) ?? [];
  const explained = await podwhois(question.split(' '));
  assert.equal(explained.code, 1);
  assert.match(
    explained.stdout,
    /^caller .* the pod demo\/hello.*\nrequest .*\nquery .*namespace does not hold\n\ndenied/,
  );

  const [, args = ''] = /npm run podwhois -- (lookup .*)/.exec(text) ?? [];
  const { code, stdout } = await podwhois(args.split(' '));
  assert.equal(code, 1);
  assert.match(stdout, /Deployment\/hello\n.*none \(host-network\)\n$/);
  const [, more = ''] = /npm run podwhois -- (history .*)/.exec(text) ?? [];
  const history = await podwhois(more.split(' '));
  assert.equal(history.code, 0);
  assert.match(
    history.stdout,
    /^FROM .*\n<=.* demo +first-holder .*\n.* - +demo +second-holder .*\nnobody was watching from - until .*\n$/,
  );
  assert.equal(await end('SIGINT'), 0);
});

test('where 8080 is taken the demo takes a free port; one that was asked for it does not change', async (t) => {
  const taken = createServer().listen(8080, '127.0.0.1');
  const isOurs = await new Promise<boolean>((resolve) => {
    taken.once('listening', () => resolve(true));
    taken.once('error', () => resolve(false)); // somebody else has it, which serves as well
  });
  if (isOurs) t.after(() => void taken.close());
  const { text, end } = await demo(t);
  assert.match(text, /podwhois +http:\/\/127\.0\.0\.1:(?!8080)\d+\n/);
  assert.equal(await end('SIGTERM'), 0);

  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.after(() => void other.close());
  const { port } = other.address() as AddressInfo;
  const { code, stderr } = await podwhois(['demo'], { environment: { PORT: String(port) } });
  assert.equal(code, 1);
  assert.match(stderr, /already in use/);
});
