import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ContainerPacker, unpackContainers } from '../../src/kubernetes/containers.ts';
import type { ContainerSpec, ContainerStatus } from '../../src/kubernetes/containers.ts';

const kind = fc.constantFrom('container', 'init', 'ephemeral');
const text = fc.oneof(fc.constantFrom('app', 'proxy', ''), fc.string({ maxLength: 8, unit: 'binary' }));
const HEX = Array.from({ length: 16 }, (_, digit) => digit.toString(16));
const digits = fc.string({ minLength: 64, maxLength: 64, unit: fc.constantFrom(...HEX) });
const id = fc.oneof(
  digits.map((hex) => `containerd://${hex}`),
  digits.map((hex) => `cri-o://${hex}`),
  digits,
  digits.map((hex) => `x://${hex.toUpperCase()}`),
  digits.map((hex) => `containerd://${hex}0`),
  text,
);
const restarts = fc.oneof(fc.constantFrom(0, 1, 63, 64, 127, 128, 2 ** 31 - 1), fc.nat());
const specs = fc.array(fc.record({ kind, name: text, image: text }), { maxLength: 20 });
const statuses = fc.array(fc.record({ kind, name: text, ready: fc.boolean(), restarts, id }), { maxLength: 20 });
const pods = fc.array(fc.tuple(specs, statuses), { minLength: 1, maxLength: 4 });

function joined(containers: readonly ContainerSpec[], all: readonly ContainerStatus[]): unknown[] {
  return containers.map(({ kind, name, image }) => {
    const status = all.find((one) => one.kind === kind && one.name === name);
    return { kind, name, image, id: status?.id ?? '', ready: status?.ready ?? false, restarts: status?.restarts ?? 0 };
  });
}

test('what is packed comes out as it went in, one pod after the other', () => {
  const property = fc.property(pods, (all) => {
    const packer = new ContainerPacker();
    const packed = all.map(([containers, states]) => packer.pack(containers, states));
    assert.deepEqual(
      packed.map(unpackContainers),
      all.map(([containers, states]) => joined(containers, states)),
    );
  });
  fc.assert(property, { numRuns: 1000 });
});

test('pods of one template share what they have in common', () => {
  const packer = new ContainerPacker();
  const of = (name: string, hex: string, count: number): ReturnType<ContainerPacker['pack']> =>
    packer.pack(
      [{ kind: 'container', name, image: `${name}:1` }],
      [{ kind: 'container', name, ready: true, restarts: count, id: `containerd://${hex.repeat(64)}` }],
    );
  const first = of('a', '1', 0);
  const other = of('b', '2', 0);
  const again = of('a', '3', 7);
  assert.equal(again.shapes, first.shapes);
  assert.notEqual(other.shapes, first.shapes);
  assert.equal(again.states.length, 65);
});

test('a number of restarts that is none is refused', () => {
  const spec = { kind: 'container', name: 'a', image: 'b' } as const;
  for (const count of [-1, 2 ** 31, NaN]) {
    const status = { kind: 'container', name: 'a', ready: true, restarts: count, id: '' } as const;
    assert.throws(() => new ContainerPacker().pack([spec], [status]), /restartCount/);
  }
});

test('as many containers as an object can hold are joined in good time', { timeout: 10_000 }, () => {
  const names = Array.from({ length: 30_000 }, (_, i) => `c${i}`);
  const containers = names.map((name) => ({ kind: 'container', name, image: 'i' }) as const);
  const all = names.map((name, i) => ({ kind: 'container', name, ready: false, restarts: i, id: '' }) as const);
  const packed = unpackContainers(new ContainerPacker().pack(containers, all.toReversed()));
  assert.ok(packed.every((container, i) => container.restarts === i));
});
