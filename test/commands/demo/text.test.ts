import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callsFrom } from '../../../src/commands/demo/text.ts';

test('the commands that are printed are called as the demo itself was called', () => {
  const podwhois = (environment: Readonly<Record<string, string>>, program: string): string =>
    callsFrom(environment, program).podwhois;
  assert.deepEqual(callsFrom({ npm_lifecycle_event: 'demo', npm_command: 'run-script' }, 'src/podwhois.js'), {
    podwhois: 'npm run -s podwhois --',
    demo: 'npm run -s demo --',
  });
  assert.equal(podwhois({ npm_lifecycle_event: 'npx', npm_command: 'exec' }, '/a/.bin/podwhois'), 'npx podwhois');
  assert.equal(podwhois({}, '/usr/local/bin/podwhois'), 'podwhois');
  assert.equal(podwhois({}, 'dist/podwhois.mjs'), 'node dist/podwhois.mjs');
  assert.equal(callsFrom({}, '/podwhois/podwhois.mjs').demo, 'node /podwhois/podwhois.mjs demo');
});
