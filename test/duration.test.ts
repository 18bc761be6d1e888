import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assert as check, integer, property } from 'fast-check';
import { formatDuration, parseDuration } from '../src/duration.ts';

/** Written by Go 1.26's time.ParseDuration and Duration.String: text, nanoseconds (undefined: refused), how Go writes it. */
const GO: readonly (readonly [text: string, nanoseconds?: bigint, written?: string])[] = [
  ['0', 0n, '0s'],
  ['+0', 0n, '0s'],
  ['0s', 0n, '0s'],
  ['5s', 5000000000n, '5s'],
  ['30s', 30000000000n, '30s'],
  ['1478s', 1478000000000n, '24m38s'],
  ['90s', 90000000000n, '1m30s'],
  ['5m', 300000000000n, '5m0s'],
  ['10m', 600000000000n, '10m0s'],
  ['1500ms', 1500000000n, '1.5s'],
  ['+5s', 5000000000n, '5s'],
  ['5.0s', 5000000000n, '5s'],
  ['5.6s', 5600000000n, '5.6s'],
  ['5.s', 5000000000n, '5s'],
  ['.5s', 500000000n, '500ms'],
  ['1.0s', 1000000000n, '1s'],
  ['1.00s', 1000000000n, '1s'],
  ['1.004s', 1004000000n, '1.004s'],
  ['1.0040s', 1004000000n, '1.004s'],
  ['100.00100s', 100001000000n, '1m40.001s'],
  ['0.29s', 290000000n, '290ms'],
  ['10ns', 10n, '10ns'],
  ['11us', 11000n, '11µs'],
  ['12µs', 12000n, '12µs'],
  ['12μs', 12000n, '12µs'],
  ['13ms', 13000000n, '13ms'],
  ['14s', 14000000000n, '14s'],
  ['15m', 900000000000n, '15m0s'],
  ['16h', 57600000000000n, '16h0m0s'],
  ['3h30m', 12600000000000n, '3h30m0s'],
  ['10.5s4m', 250500000000n, '4m10.5s'],
  ['2m3.4s', 123400000000n, '2m3.4s'],
  ['1h2m3.5s', 3723500000000n, '1h2m3.5s'],
  ['1h2m3s4ms5us6ns', 3723004005006n, '1h2m3.004005006s'],
  ['39h9m14.425s', 140954425000000n, '39h9m14.425s'],
  ['52763797000ns', 52763797000n, '52.763797s'],
  ['0.3333333333333333333h', 1200000000000n, '20m0s'],
  ['9007199254740993ns', 9007199254740993n, '2501h59m59.254740993s'],
  ['9223372036854775807ns', 9223372036854775807n, '2562047h47m16.854775807s'],
  ['9223372036854775.807us', 9223372036854775807n, '2562047h47m16.854775807s'],
  ['9223372036s854ms775us807ns', 9223372036854775807n, '2562047h47m16.854775807s'],
  ['0.100000000000000000000h', 360000000000n, '6m0s'],
  ['0.830103483285477580700h', 2988372539827n, '49m48.372539827s'],
  ['0.00000000000000000001h', 0n, '0s'],
  ['1s1s', 2000000000n, '2s'],
  ['0.9999999999s', 999999999n, '999.999999ms'],
  ['0.1ns', 0n, '0s'],
  ['1.5h', 5400000000000n, '1h30m0s'],
  ['0h0m0s', 0n, '0s'],
  ['00005s', 5000000000n, '5s'],
  [''],
  ['3'],
  ['-'],
  ['s'],
  ['.'],
  ['-.'],
  ['.s'],
  ['+.s'],
  ['1d'],
  ['1w'],
  ['1y'],
  ['90'],
  ['1,5s'],
  ['1.5'],
  ['5 s'],
  [' 5s'],
  ['5s '],
  ['1e3s'],
  ['0x1s'],
  ['5S'],
  ['5M'],
  ['5min'],
  ['5sec'],
  ['--5s'],
  ['9223372036854775808ns'],
  ['9223372036854775.808us'],
  ['3000000h'],
  ['5s-5s'],
  ['5ss'],
  ['٥s'],
  ['5s\n'],
  ['Infinity'],
  ['NaN'],
  ['null'],
];

const milliseconds = (ns: bigint): number => Number(ns / 1_000_000n) + Number(ns % 1_000_000n) / 1e6;

test('durations read as Go reads them', () => {
  for (const [text, nanoseconds] of GO) {
    const expected = nanoseconds === undefined ? undefined : milliseconds(nanoseconds);
    assert.equal(parseDuration(text), expected, JSON.stringify(text));
  }
});

test('negative durations are refused, as is anything longer than a duration can be', () => {
  for (const text of ['-5s', '-0', '-0s', '-1ns', `${'0'.repeat(100)}5s`, '1s'.repeat(1000)]) {
    assert.equal(parseDuration(text), undefined, text.slice(0, 20));
  }
});

test('a duration is written as Go writes it, without its trailing zero units', () => {
  for (const [, nanoseconds, written = ''] of GO) {
    // Beyond 2^53 nanoseconds (104 days) a number of milliseconds no longer holds every nanosecond.
    if (nanoseconds === undefined || nanoseconds >= 2n ** 53n) continue;
    const short = written.replace(/(?<=[hm])0[ms]/g, '');
    assert.equal(formatDuration(milliseconds(nanoseconds)), short);
  }
  assert.equal(formatDuration(90_000), '1m30s');
  assert.equal(formatDuration(300_000), '5m');
  assert.equal(formatDuration(3_605_000), '1h5s');
  assert.equal(formatDuration(Infinity), 'for ever');
  assert.equal(formatDuration(NaN), 'unknown');
  assert.equal(formatDuration(-1500), '-1.5s');
});

test('what is written is read back', () => {
  check(
    property(integer({ min: 0, max: 2 ** 40 }), (ms) => {
      assert.equal(parseDuration(formatDuration(ms)), ms);
    }),
  );
});
