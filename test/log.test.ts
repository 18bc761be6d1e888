import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog } from '../src/log.ts';
import type { Log } from '../src/log.ts';

function logged(format: 'json' | 'text', write: (log: Log) => void, level = 'info'): string {
  let text = '';
  write(createLog({ level, format }, { write: (line) => (text += line) }));
  return text;
}

test('a line is an object with level, time, component, message and fields', () => {
  const line = logged('json', (log) => log.child({ component: 'reflector' }).warn({ status: 410 }, 'the watch ended'));
  const { time, ...rest } = JSON.parse(line) as Record<string, unknown>;
  assert.deepEqual(rest, { level: 'warn', component: 'reflector', status: 410, msg: 'the watch ended' });
  assert.match(String(time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
});

test('text is one line for people', () => {
  const line = logged('text', (log) =>
    log.child({ component: 'reflector' }).warn({ status: 410, slice: 'a b', list: [1] }, 'the watch ended'),
  );
  assert.match(line, /^\S+Z WARN {2}reflector: the watch ended status=410 slice="a b" list=\[1\]\n$/);
});

test('in text each fault has a line of its own, which nothing in it can make look like a line of the log', () => {
  const faults = ['rules.yaml:1:1: no', 'b\n2026-11-25T10:00:00.000Z ERROR forged: line', '   indented \u001b[31m'];
  const text = logged('text', (log) => log.error({ reason: 'wrong:', faults }, 'cannot be used'));
  assert.deepEqual(text.split('\n').slice(1), [
    '    rules.yaml:1:1: no',
    '    b\\u000a2026-11-25T10:00:00.000Z ERROR forged: line',
    '    indented \\u001b[31m',
    '',
  ]);
  assert.match(text, /^\S+Z ERROR cannot be used reason=wrong:\n/);
});

test('what is below the level is not logged', () => {
  assert.equal(
    logged('json', (log) => log.info('x'), 'warn'),
    '',
  );
});

for (const format of ['json', 'text'] as const) {
  test(`credentials never reach a log line (${format})`, () => {
    const error = Object.assign(new Error('GET https://admin:hunter2@h/ with Bearer hunter2.x-y_z'), {
      code: 'E_TEST',
      headers: { authorization: 'hunter2' },
      request: { body: 'hunter2' },
      cause: new Error("basic hunter2== postgres://a:hunter2/@x@h:1/d host=h password='a hunter2' PGPASSWORD=hunter2"),
    });
    const text = logged(format, (log) => {
      log.error({ err: error }, 'failed');
      log.info(
        {
          token: 'hunter2',
          databaseUrl: 'hunter2',
          a: { password: 'hunter2', b: { authorization: 'hunter2' } },
          headers: { x: 'hunter2' },
        },
        'told',
      );
    });
    assert.ok(!text.includes('hunter2'), text);
    assert.ok(text.includes('with Bearer (secret)') && text.includes('told'), text);
  });

  test(`other people's text stays on its line and commands no terminal (${format})`, () => {
    const evil = 'x\u001b[31m\n{"level":"fatal"}\r\u009b\u202e';
    const text = logged(format, (log) => log.info({ name: evil, [evil]: 1, object: { evil } }, 'constant'));
    assert.equal(text.indexOf('\n'), text.length - 1);
    assert.ok(!text.includes('\u001b'));
  });
}
