import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { request } from 'undici';
import { podwhois } from './support/cli.ts';
import { startDemo } from './support/demo.ts';

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const CONSOLE = /```console\n(.*?)```/s.exec(README)?.[1] ?? '';

/** Each command of the README's console, and what the README says it prints. */
const commands = CONSOLE.split(/^\$ /m)
  .slice(1)
  .map((block) => {
    const [command = '', ...output] = block.trimEnd().split('\n');
    return { command: command.replace(/ +#.*$/, ''), output };
  });

/** The README's output as a pattern: lines broken for reading are joined, `…` and what time decides is anything. */
function pattern(lines: readonly string[]): RegExp {
  const joined = lines.map((line) => line.replace(/^ /, '')).join('');
  const escaped = joined.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  return new RegExp(
    escaped
      .replaceAll('…', '.*')
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, '[\\dTZ:-]+')
      .replace(/"resource_version":"\d+"/g, '"resource_version":"\\d+"'),
  );
}

test('what the README shows is what the demo answers', async (t) => {
  const demo = await startDemo(t, { args: ['--port', '0'] });
  const url = demo.place('podwhois');
  await demo.said(/^Postgres is ready/m);
  assert.ok(commands.length >= 4);
  for (const { command, output } of commands) {
    if (command.startsWith('curl')) {
      const path = /'http:\/\/localhost:8080(.*)'/.exec(command)?.[1];
      const { body, headers } = await request(url + path);
      const blank = output.indexOf('');
      for (const line of output.slice(1, Math.max(blank, 1))) {
        assert.ok((line.split(':')[0] ?? '') in headers, `${command} answers with ${line}`);
      }
      assert.match(await body.text(), pattern(output.slice(blank + 1)), command);
    } else if (command.includes('demo -- sql')) {
      const [, query = ''] = /"(.*)"$/.exec(command) ?? [];
      const { port } = new URL(demo.place('Postgres'));
      const { stdout } = await podwhois(['demo', 'sql', '--postgres-port', port, query]);
      assert.equal(stdout.trimEnd(), output.join('\n'), command);
    } else {
      const args = command.split(' -- ')[1]?.split(' ') ?? [];
      const { stdout } = await podwhois([...args, '--server', url]);
      assert.equal(stdout.trimEnd(), output.join('\n'), command);
    }
  }
});
