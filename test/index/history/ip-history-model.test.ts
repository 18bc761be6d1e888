import assert from 'node:assert/strict';
import { assert as check, array, nat, property } from 'fast-check';
import { test } from 'node:test';
import { IpHistory } from '../../../src/index/history/ip-history.ts';
import type { Pod } from '../../../src/pod.ts';
import { alike } from '../alike.ts';
import { makePod } from '../make-pod.ts';

/** Two pairs of which both have one hash. */
const IPS = [...alike(10), ...alike(172)];
const UIDS = ['a', 'b', 'c'];

interface Line {
  readonly ip: string;
  readonly uid: string;
  readonly label: string | undefined;
  readonly from: number;
  readonly heldFrom: number;
  readonly until?: number;
  readonly goesOn?: boolean;
  readonly sinceVersion: string;
  readonly untilVersion?: string | undefined;
}

/** One line for each address of each pod, and a list of all that has ended. */
class Oracle {
  readonly open = new Map<string, Line & { met: boolean }>();
  readonly ended: Line[] = [];

  see(pod: Pod, now: number): void {
    for (const ip of pod.podIps) {
      const key = `${ip} ${pod.uid}`;
      const label = pod.labels['app'];
      const line = this.open.get(key);
      const isOther = line !== undefined && line.label !== label;
      const sinceVersion = line?.label === label ? line?.sinceVersion : undefined;
      if (isOther) this.ended.push(endOf(line, now, pod.resourceVersion, true));
      const from = line && !isOther ? line.from : now;
      this.open.set(key, {
        ip,
        uid: pod.uid,
        label,
        from,
        heldFrom: line?.heldFrom ?? now,
        sinceVersion: sinceVersion ?? pod.resourceVersion,
        met: true,
      });
    }
  }

  end(ip: string, uid: string, now: number, version: string): void {
    const line = this.open.get(`${ip} ${uid}`);
    if (!line) return;
    this.open.delete(`${ip} ${uid}`);
    this.ended.push(endOf(line, now, version, false));
  }
}

const endOf = (line: Line, until: number, untilVersion: string, goesOn: boolean): Line => ({
  ...line,
  until,
  untilVersion,
  goesOn,
});

const textOf = ({ ip, uid, label, from, heldFrom, until, goesOn, sinceVersion, untilVersion }: Line): string =>
  `${ip} ${uid} ${label} ${from}@${sinceVersion}..${until ?? ''}@${untilVersion ?? ''}${goesOn ? '+' : ''} since ${heldFrom}`;

const texts = (lines: Iterable<Line>): string[] => [...lines].map(textOf).sort();

/** Pods whose addresses come and go one by one, told in order, or only to a comparison. */
function play(numbers: readonly number[]): void {
  const history = new IpHistory({ maxEnded: 1_000 });
  const oracle = new Oracle();
  const told = new Map<string, Pod>();
  const truth = new Map<string, Pod>();
  let now = 0;
  for (const [step, number] of numbers.entries()) {
    const resourceVersion = `${1_000 + step}`;
    const uid = UIDS[number % 3] as string;
    const rest = number >> 4;
    if (number & 4) now++;
    const podIps = IPS.filter((_, i) => (rest >> i) & 1);
    if (rest & 16) podIps.reverse();
    if (rest % 5 === 0) truth.delete(uid);
    else truth.set(uid, makePod({ uid, podIps, resourceVersion, labels: { app: `v${(rest >> 5) & 1}` } }));
    if (number & 8) {
      const [pod, former] = [truth.get(uid), told.get(uid)];
      if (pod) history.see(pod, former?.podIps ?? [], now);
      else if (former) history.lose(former, now, resourceVersion);
      for (const ip of former?.podIps ?? []) if (!pod?.podIps.includes(ip)) oracle.end(ip, uid, now, resourceVersion);
      if (pod) oracle.see(pod, now);
      if (pod) told.set(uid, pod);
      else told.delete(uid);
    } else if (rest & 64) {
      history.compare();
      for (const line of oracle.open.values()) line.met = false;
      for (const pod of truth.values()) history.see(pod, [], now);
      for (const pod of truth.values()) oracle.see(pod, now);
      for (const _ of history.endMissing(
        () => now,
        (pod) => truth.get(pod.uid)?.resourceVersion ?? resourceVersion,
      ));
      for (const { met, ip, uid } of oracle.open.values()) {
        if (!met) oracle.end(ip, uid, now, truth.get(uid)?.resourceVersion ?? resourceVersion);
      }
      told.clear();
      for (const [key, pod] of truth) told.set(key, pod);
    }
    const lines = (intervals: Iterable<ReturnType<IpHistory['of']>[number]>): Line[] =>
      Array.from(
        intervals,
        ({ holder, ...times }) =>
          ({
            ...times,
            uid: holder?.uid ?? '',
            label: holder?.labels['app'],
          }) as Line,
      );
    const expected = [...oracle.open.values(), ...oracle.ended];
    assert.deepEqual(texts(lines(history.all())), texts(expected));
    assert.equal(history.size, expected.length);
    for (const ip of IPS) {
      const own = expected.filter((line) => line.ip === ip);
      assert.deepEqual(texts(lines(history.of(ip, -Infinity))), texts(own));
    }
  }
}

test('whatever addresses pods gain and lose, told or found by a comparison, each has its own intervals', () => {
  check(property(array(nat(0xffff), { maxLength: 60, size: 'max' }), play), { numRuns: 300 });
});
