import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { asciiJson } from '../../src/http/ascii-json.ts';
import { AsciiText, AsciiTexts } from '../../src/http/ascii-text.ts';
import { makePod, strings } from './support/pods.ts';
import { startService } from './support/service.ts';

test('JSON in ASCII is read as what was written', () => {
  for (const value of ['é', '\u007f', '🦭', '\u2028', '\ud800', 'a"\\\n', '~', { é: ['ÿ', 1] }]) {
    const json = asciiJson(value);
    assert.match(json, /^[ -~]*$/);
    assert.deepEqual(JSON.parse(json), value);
  }
});

test('a text grows with what is added to it', () => {
  const text = new AsciiText();
  const pieces = Array.from({ length: 500 }, (_, i) => String.fromCharCode(97 + (i % 26)).repeat(i));
  for (const piece of pieces) text.add(piece);
  text.add('x'.repeat(1_000_000));
  assert.equal(text.bytes.toString(), `${pieces.join('')}${'x'.repeat(1_000_000)}`);
  assert.equal(text.length, text.bytes.length);
});

test('a text that was given back is used again, and begins empty; a huge one, or a fifth, is not kept', () => {
  const texts = new AsciiTexts();
  const [first, second] = [texts.take(), texts.take()];
  assert.notEqual(first, second);
  first.add('once');
  texts.giveBack(first);
  assert.equal(texts.take(), first);
  assert.equal(first.length, 0);
  second.add('x'.repeat(3_000_000));
  texts.giveBack(second);
  assert.notEqual(texts.take(), second);
  const many = Array.from({ length: 5 }, () => new AsciiText());
  for (const text of many) texts.giveBack(text);
  assert.deepEqual(
    many.map(() => many.includes(texts.take())),
    [true, true, true, true, false],
  );
});

test(
  'batches whose readers are slow keep what they were, while others are answered',
  { timeout: 60_000 },
  async (t) => {
    const text = 'x'.repeat(20_000);
    const pods = Array.from({ length: 30 }, (_, i) =>
      makePod(`p${i}`, { podIps: [`10.0.0.${i}`], labels: strings({ of: `${i}-${text}` }) }),
    );
    const { port } = await startService(t, { pods });
    const readers = pods.map((_, i) => {
      const socket = connect(port, '127.0.0.1');
      const body = JSON.stringify({ ips: Array.from({ length: 90 }, () => `10.0.0.${i}`) });
      const head = ['POST /pods/lookup HTTP/1.1', 'Host: x', 'Connection: close', 'Content-Type: application/json'];
      socket.write(`${head.join('\r\n')}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      return socket;
    });
    // Each has begun to be answered, so the last of them came when the first still waited for its reader.
    for (const socket of readers) await once(socket, 'readable');
    for (const [i, socket] of readers.entries()) {
      let answer = '';
      for await (const chunk of socket.setEncoding('latin1')) answer += String(chunk);
      const { results } = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))) as {
        results: { pod: { name: string } }[];
      };
      assert.deepEqual(new Set(results.map(({ pod }) => pod.name)), new Set([`p${i}`]));
      assert.equal(answer.split(`${i}-${text}`).length, 91);
    }
  },
);
