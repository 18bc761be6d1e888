import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FORMATS, testReader } from './golden/golden.ts';
import { encodeMessage } from '../../src/simulator/encoding/protobuf.ts';
import { json } from '../../src/kubernetes/wire/json.ts';
import type { Pod } from '../../src/pod.ts';
import type { WireFormat } from '../../src/kubernetes/wire/format.ts';
import { heapUsed } from '../support/heap-used.ts';

const hex = (length: number, seed: number): string =>
  Array.from({ length }, (_, i) => ((Math.imul(seed + 1, 2654435761 + i * 40503) >>> 8) & 15).toString(16)).join('');

/** A page of pods, ten of each ReplicaSet: two containers, eight labels, two addresses, with what is not kept. */
function page(format: WireFormat, count: number, ballast: string): Uint8Array {
  const items = Array.from({ length: count }, (_, i) => {
    const set = Math.floor(i / 10);
    const labels = Object.fromEntries(
      Array.from({ length: 8 }, (_, k) => [`example.test/label-${k}`, `value-${set}-${k}`]),
    );
    const names = ['app', 'istio-proxy'];
    return {
      metadata: {
        name: `billing-service-${hex(10, set)}-${hex(5, i)}`,
        namespace: `team-${set % 40}`,
        uid: `${hex(8, i)}-${hex(4, i)}-${hex(4, i)}-${hex(4, i)}-${hex(12, i)}`,
        resourceVersion: String(1_000_000 + i),
        creationTimestamp: '2026-11-20T07:08:09Z',
        labels,
        annotations: { ballast },
        ownerReferences: [{ kind: 'ReplicaSet', name: `rs-${set}`, uid: `uid-${set}`, controller: true }],
      },
      spec: {
        nodeName: `ip-10-0-0-${i % 200}.example.test`,
        serviceAccountName: 'billing',
        containers: names.map((name) => ({ name, image: `registry.example.test/${name}:${set}` })),
      },
      status: {
        phase: 'Running',
        startTime: '2026-11-20T07:08:10Z',
        qosClass: 'Burstable',
        hostIP: `192.0.2.${i % 200}`,
        podIP: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`,
        podIPs: [{ ip: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}` }, { ip: `fd00:42::1:${i.toString(16)}` }],
        containerStatuses: names.map((name, k) => ({
          name,
          ready: true,
          restartCount: i % 3,
          containerID: `containerd://${hex(64, 2 * i + k)}`,
        })),
      },
    };
  });
  const metadata = { resourceVersion: '9' };
  if (format === json) return Buffer.from(JSON.stringify({ kind: 'PodList', metadata, items }));
  return enveloped('PodList', Buffer.from(encodeMessage('PodList', { metadata, items })));
}

/** `k8s\0` and a runtime.Unknown */
function enveloped(kind: string, raw: Buffer): Buffer {
  const field = (number: number, value: Buffer): Buffer => {
    const length: number[] = [];
    let rest = value.length;
    for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
    return Buffer.concat([Buffer.from([number * 8 + 2, ...length, rest]), value]);
  };
  return Buffer.concat([Buffer.from('k8s\0'), field(1, field(2, Buffer.from(kind))), field(2, raw)]);
}

for (const format of FORMATS) {
  test(`a record of ${format.name} takes little memory, all that pods share included`, () => {
    const body = page(format, 5000, '');
    format.list(body, testReader([])); // code and its feedback take memory too
    const reader = testReader([]);
    const before = heapUsed();
    const pods: readonly Pod[] = format.list(body, reader).items;
    const each = (heapUsed() - before) / pods.length;
    assert.equal(pods.length, 5000);
    assert.ok(each < 850, `${each.toFixed(0)} bytes a pod`); // 730 to 760 measured, and 630 to 670 of real pods
    assert.ok(each > 300, `${each.toFixed(0)} bytes a pod: not a measurement`);
  });

  test(`a new record of ${format.name} of a pod that is kept adds little: what both say is kept once`, () => {
    const kept = new Map<string, Pod>();
    const reader = testReader([], (uid) => kept.get(uid));
    for (const pod of format.list(page(format, 5000, ''), reader).items) kept.set(pod.uid, pod);
    const body = page(format, 5000, '');
    format.list(body, reader);
    const before = heapUsed();
    const pods = format.list(body, reader).items;
    const each = (heapUsed() - before) / pods.length;
    assert.equal(pods.length, 5000);
    assert.ok(each < 320, `${each.toFixed(0)} bytes a pod`); // 290 to 303 measured; each text that is not shared adds 40
    assert.ok(each > 150, `${each.toFixed(0)} bytes a pod: not a measurement`);
  });

  test(`no record of ${format.name} holds on to the bytes it was read from`, () => {
    const body = page(format, 200, 'x'.repeat(50_000));
    const reader = testReader([]);
    format.list(body, reader);
    const before = heapUsed();
    const pods = format.list(body, reader).items;
    const each = (heapUsed() - before) / pods.length;
    assert.ok(each < 5000, `${each.toFixed(0)} bytes a pod`);
  });
}
