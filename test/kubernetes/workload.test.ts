import assert from 'node:assert/strict';
import { test } from 'node:test';
import { workloadOf } from '../../src/kubernetes/workload.ts';

const CREATED = Date.parse('2026-11-20T07:08:09Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const minuteAt = (time: number): string => String(Math.floor(time / MINUTE));

test('a pod without an owner has no workload', () => {
  assert.equal(workloadOf(undefined, { 'pod-template-hash': 'x' }, CREATED), undefined);
});

test('an owner of another kind is the workload', () => {
  for (const kind of ['StatefulSet', 'DaemonSet', 'Node', 'Deployment', 'CronJob', 'constructor']) {
    const workload = workloadOf(
      { apiGroup: 'apps', kind, name: 'web-5d4', uid: 'u' },
      { 'pod-template-hash': '5d4' },
      CREATED,
    );
    assert.deepEqual(workload, { kind, name: 'web-5d4', source: 'owner' });
  }
});

/** name of the ReplicaSet, the pod's hash label, the Deployment or undefined */
const REPLICA_SETS: readonly (readonly [name: string, hash: string | undefined, deployment: string | undefined])[] = [
  ['web-84cd44fcbb', '84cd44fcbb', 'web'],
  ['my-web-shop-84cd44fcbb', '84cd44fcbb', 'my-web-shop'],
  ['84cd-84cd', '84cd', '84cd'],
  ['web-84cd44fcbb', undefined, undefined],
  ['web-84cd44fcbb', '', undefined],
  ['web-84cd44fcbb', '4cd44fcbb', undefined],
  ['web-84cd44fcbb', '84cd44fcb', undefined],
  ['web-84cd44fcbb', '84CD44FCBB', undefined],
  ['web84cd44fcbb', '84cd44fcbb', undefined],
  ['84cd44fcbb', '84cd44fcbb', undefined],
  ['-84cd44fcbb', '84cd44fcbb', undefined],
  ['web-84cd44fcbb-x', '84cd44fcbb', undefined],
  ['web', 'web-84cd44fcbb', undefined],
];
for (const [name, hash, deployment] of REPLICA_SETS) {
  test(`ReplicaSet ${name} with hash ${hash} is of ${deployment ?? 'no Deployment'}`, () => {
    const labels = hash === undefined ? {} : { 'pod-template-hash': hash };
    const expected = deployment
      ? { kind: 'Deployment', name: deployment, source: 'pod-template-hash' }
      : { kind: 'ReplicaSet', name, source: 'owner' };
    assert.deepEqual(workloadOf({ apiGroup: 'apps', kind: 'ReplicaSet', name, uid: 'u' }, labels, CREATED), expected);
  });
}

const JOBS: readonly (readonly [what: string, name: string, cronJob: string | undefined])[] = [
  ['scheduled at the creation', `backup-${minuteAt(CREATED)}`, 'backup'],
  ['scheduled an hour before', `backup-${minuteAt(CREATED - HOUR)}`, 'backup'],
  ['scheduled 24 h and 9 s before', `backup-${minuteAt(CREATED - 24 * HOUR)}`, undefined],
  ['scheduled just under 24 h before', `backup-${Number(minuteAt(CREATED - 24 * HOUR)) + 1}`, 'backup'],
  ['scheduled over 24 h before', `backup-${minuteAt(CREATED - 25 * HOUR)}`, undefined],
  ['scheduled in the next minute: clocks differ', `backup-${Number(minuteAt(CREATED)) + 1}`, 'backup'],
  ['scheduled two minutes later', `backup-${Number(minuteAt(CREATED)) + 2}`, undefined],
  ['a name with dashes', `a-b-3-${minuteAt(CREATED)}`, 'a-b-3'],
  ["a date: a user's own Job", 'backup-20261120', undefined],
  ['seconds', `backup-${Math.floor(CREATED / 1000)}`, undefined],
  ['too few digits', 'backup-2973160', undefined],
  ['a leading zero', `backup-0${minuteAt(CREATED)}`, undefined],
  ['no digits', 'backup-daily', undefined],
  ['digits with a letter', `backup-${minuteAt(CREATED)}a`, undefined],
  ['a random suffix after it', `backup-${minuteAt(CREATED)}-x7k2p`, undefined],
  ['no dash', `backup${minuteAt(CREATED)}`, undefined],
  ['nothing before it', `-${minuteAt(CREATED)}`, undefined],
  ['only digits', minuteAt(CREATED), undefined],
  [
    'other digits',
    `backup-${minuteAt(CREATED).replaceAll(/\d/g, (digit) => String.fromCharCode(0x660 + Number(digit)))}`,
    undefined,
  ],
  ['more digits than a number holds', `backup-${'9'.repeat(400)}`, undefined],
];
for (const [what, name, cronJob] of JOBS) {
  test(`Job, ${what}: ${cronJob ? `of CronJob ${cronJob}` : 'its own workload'}`, () => {
    const expected = cronJob
      ? { kind: 'CronJob', name: cronJob, source: 'scheduled-time' }
      : { kind: 'Job', name, source: 'owner' };
    assert.deepEqual(workloadOf({ apiGroup: 'batch', kind: 'Job', name, uid: 'u' }, {}, CREATED), expected);
  });
}

test("somebody's own kind that is called ReplicaSet or Job has no Deployment and no CronJob", () => {
  const labels = { 'pod-template-hash': '84cd' };
  for (const apiGroup of ['', 'example.com', 'apps.example.com', 'Apps', 'constructor']) {
    for (const [kind, name] of [
      ['ReplicaSet', 'web-84cd'],
      ['Job', `backup-${minuteAt(CREATED)}`],
    ] as const) {
      const workload = workloadOf({ apiGroup, kind, name, uid: 'u' }, labels, CREATED);
      assert.deepEqual(workload, { kind, name, source: 'owner' }, `${kind} of "${apiGroup}"`);
    }
  }
  const swapped = workloadOf({ apiGroup: 'batch', kind: 'ReplicaSet', name: 'web-84cd', uid: 'u' }, labels, CREATED);
  assert.equal(swapped?.source, 'owner');
});
