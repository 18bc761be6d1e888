import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makePod } from './make-pod.ts';
import { indexAfter, parseEvents, permutations, tell } from './orderings.ts';
import { PodIndex } from '../../src/index/pod-index.ts';

/** Events, and what is answered afterwards. */
const TABLE: readonly (readonly [string, string])[] = [
  // As rule G has them.
  ['A+ B+ A-', 'X: B'],
  ['A+ As B+ A-', 'X: B'],
  ['A+ B+ As', 'X: B'],
  ['A+ B+', 'X: ambiguous AB'],
  ['A+ At B+', 'X: B'],
  ['A+(X) A~(Y)', 'X: no-pod, Y: A'],
  ['A+(X) B+(Y) A~(Y) B~(X)', 'X: B, Y: A'],
  ['A1+(X) A2+(Y) A1-', 'X: no-pod, Y: A2'],
  ['A+(X) A-()', 'X: no-pod'],
  ['A+h(N) B+(N)', 'N: host-network'],
  // One pod alone.
  ['A+', 'X: A'],
  ['A+ A+', 'X: A'],
  ['A+ A-', 'X: no-pod'],
  ['A-', 'X: no-pod'],
  ['A-@5 A+@6', 'X: A'],
  ['A-@6 A+@5', 'X: no-pod'],
  ['A-@6 A+@6', 'X: no-pod'],
  ['A~', 'X: A'],
  ['At', 'X: A'],
  ['A+ At', 'X: A'],
  ['A+ At A-', 'X: no-pod'],
  ['A+ As', 'X: terminal'],
  ['A+ As A-', 'X: no-pod'],
  ['A+ Ae', 'X: no-pod'],
  ['A+ Ae As(X)', 'X: terminal'],
  ['A+ As Ae As(X) A-', 'X: no-pod'],
  ['A+ At As', 'X: terminal'],
  ['A+()', 'X: no-pod'],
  ['A+() A~(X)', 'X: A'],
  ['A+(X) A~()', 'X: no-pod'],
  ['A+(X) A~() A~(X)', 'X: A'],
  ['A+(X) A-(Y)', 'X: no-pod, Y: no-pod'],
  ['A+h(N)', 'N: host-network'],
  ['A+h()', 'N: node'],
  ['A+h() A-', 'N: no-pod'],
  ['A+h(N) As', 'N: host-network'],
  ['A+h(N) At', 'N: host-network'],
  ['A+h(N) A-()', 'N: no-pod'],
  // Addresses: two of them, and changing them.
  ['A+(X,Z)', 'X: A, Z: A'],
  ['A+(X,Z) A-()', 'X: no-pod, Z: no-pod'],
  ['A+(X,Z) A~(Z)', 'X: no-pod, Z: A'],
  ['A+(X) A~(X,Z)', 'X: A, Z: A'],
  ['A+(X,Z) A~(Z,X)', 'X: A, Z: A'],
  ['A+(X,Z) B+(Z)', 'X: A, Z: ambiguous AB'],
  ['A+(X,Z) B+(Z) B~(Y)', 'X: A, Y: B, Z: A'],
  ['A+(X) A~(Y) A~(X)', 'X: A, Y: no-pod'],
  ['A+(X) B+(Y) B~(X) A~(Y)', 'X: B, Y: A'],
  ['A+(X) B+(X) A~(Y)', 'X: B, Y: A'],
  ['A+(X) B+(X) A~(Y) A~(X)', 'X: ambiguous AB, Y: no-pod'],
  // Two on one address.
  ['A+ B+ B-', 'X: A'],
  ['A+ B+ A- B-', 'X: no-pod'],
  ['A+ B+ A~ B~', 'X: ambiguous AB'],
  ['B+ A+', 'X: ambiguous AB'],
  ['A+ B+ Bs', 'X: A'],
  ['A+ B+ As Bs', 'X: terminal'],
  ['A+ B+ As Bs A-', 'X: terminal'],
  ['A+ As B+', 'X: B'],
  ['A+ As B+ B-', 'X: terminal'],
  ['A+ As B+ Bt', 'X: B'],
  ['A+ B+ At', 'X: B'],
  ['A+ B+ At Bt', 'X: ambiguous AB'],
  ['A+ At B+ Bt A-', 'X: B'],
  ['A+ At B+ B-', 'X: A'],
  ['A+ At B+ Bs', 'X: A'],
  ['A+ Ae B+', 'X: B'],
  ['A+ Ae B+ As(X)', 'X: B'],
  ['A+ B+ A-()', 'X: B'],
  ['A+(X) B+(Y) B-(X)', 'X: A, Y: no-pod'],
  // Three and more.
  ['A+ B+ C+', 'X: ambiguous ABC'],
  ['A+ B+ C+ A- B-', 'X: C'],
  ['A+ B+ C+ At', 'X: ambiguous ABC'],
  ['A+ B+ C+ At Bt', 'X: C'],
  ['A+ B+ C+ As Bt', 'X: C'],
  ['A+ B+ C+ As Bs Cs', 'X: terminal'],
  ['A+ At B+ Bt C+ Ct', 'X: ambiguous ABC'],
  // The host's network.
  ['A+(N) B+h(N)', 'N: host-network'],
  ['A+(N) B+h(N) B-', 'N: A'],
  ['A+(N) B+h(N) A-', 'N: host-network'],
  ['B+h(N) Bs A+(N)', 'N: host-network'],
  ['B+h() A+(N)', 'N: A'],
  ['B+h() A+(N) As', 'N: node'],
  ['B+h(N) C+h(N) B-', 'N: host-network'],
  ['B+h() C+h() B-', 'N: node'],
  ['B+h() C+h() B- C-', 'N: no-pod'],
  // One name, two uids.
  ['A1+ A2+', 'X: A2'],
  ['A1+ A2+ A1-', 'X: A2'],
  ['A1+(X) A2+(Y)', 'X: no-pod, Y: A2'],
  ['A1+ A1- A2+', 'X: A2'],
  ['A1+ A2+ A2-', 'X: no-pod'],
  ['A1+ A2+ A2- A1-', 'X: no-pod'],
  ['A1+@5 A2+@9 A1~@7', 'X: A2'],
  ['A1+@5(X) A2+@9(Y) A1~@7(X)', 'X: no-pod, Y: A2'],
  ['A1+@5(X) A2+@9(Y) A2-@12 A1~@7(X)', 'X: no-pod, Y: no-pod'],
  ['A2+@9(Y) A1+@7(X)', 'X: no-pod, Y: A2'],
  ['A2+@9(Y) A1+@7(X) A2-@12 A1~@8(X)', 'X: no-pod, Y: no-pod'],
  ['A2+@9(Y) A2-@12 A1+@7(X)', 'X: no-pod, Y: no-pod'],
  ['A2+@9(Y) A1-@12', 'Y: A2'],
  ['A1+@5(X) A2+@9(Y) A1-@8 A3+@12(X) A2-@10', 'X: A3, Y: no-pod'],
  ['A1+(X) A2+(Y) A1-() B+(X)', 'X: B, Y: A2'],
  ['A1+@5(X) A2-@9 A2+@8(Y)', 'X: no-pod, Y: no-pod'],
  ['A1+@5(X) A2-@9 A2+@8(Y) A1~@7', 'X: no-pod, Y: no-pod'],
  ['A2-@9 A2+@8(Y) A1+@5(X)', 'X: no-pod, Y: no-pod'],
  ['A2-@9 A2+@8(Y) A3+@12(X) A1+@5(Y)', 'X: A3, Y: no-pod'],
  ['A3+@12(X) A2-@9 A2+@8(Y)', 'X: A3, Y: no-pod'],
  // Old news, twice told news, and news the wrong way round.
  ['A+@5(X) A~@7(Y) A~@6(X)', 'X: no-pod, Y: A'],
  ['A~@7(Y) A+@5(X)', 'X: no-pod, Y: A'],
  ['A+@5(X) A~@7(Y) A+@5(X) A~@7(Y)', 'X: no-pod, Y: A'],
  ['A+@5 A-@7 A~@6', 'X: no-pod'],
  ['A+@5 A-@7 A+@5 A-@7', 'X: no-pod'],
  ['A+@5 A~@8 A-@7', 'X: A'],
  ['A-@9 A-@7 A+@8', 'X: no-pod'],
  ['A+@5 A-@9 A-@7 A+@8', 'X: no-pod'],
  ['A+@5 A~@8 A-@8', 'X: no-pod'],
  ['A+@5 A-@7 A+@8', 'X: A'],
  ['A+@5 A-@7 A+@8 A-@7', 'X: A'],
  ['A+@5 A-@7 A+@8 A-@9', 'X: no-pod'],
  ['A+@9 A~@10', 'X: A'],
  ['A+@9(X) A~@10(Y)', 'X: no-pod, Y: A'],
  ['A+@99(X) A~@100(Y) A~@99(X)', 'X: no-pod, Y: A'],
];

for (const [events, expected] of TABLE) {
  test(`G ${events} → ${expected}`, () => {
    const letters = expected.split(', ').map((part) => part.split(':')[0] ?? '');
    assert.equal(tell(indexAfter(parseEvents(events)), letters), expected);
  });
}

test('G every order of {A terminal, B running, C terminating} on one address in the first list → B', () => {
  const podIps = ['10.0.0.1'];
  const pods = [
    makePod({ uid: 'A', podIps, phase: 'Failed' }),
    makePod({ uid: 'B', podIps }),
    makePod({ uid: 'C', podIps, deletionTimestamp: 1 }),
  ];
  for (const order of permutations(pods)) {
    const index = new PodIndex();
    const list = index.slice().beginReplace();
    for (const pod of order) list.add(pod);
    list.commit('200');
    assert.equal(tell(index, ['X']), 'X: B');
  }
});

// Each history is true of a cluster: what holds of it in its own order must hold at the end of any other.
for (const history of [
  'A1+(X) A1~(Y) A1- A2+(X) A2t B+(X)',
  'A+(X) A~(Y) B+(X) A- B~(X,Z) C+(Y)',
  'A+(X) As B+(X) A- B- C+(X)',
  'A1+(X) A1- A2+(Y) A2- A3+(Z) B+(X)',
]) {
  test(`G all reordering and duplicates of ${history} lead to the same end`, () => {
    const events = parseEvents(history);
    const letters = ['X', 'Y', 'Z'];
    const expected = tell(indexAfter(events), letters);
    for (const order of permutations(events)) {
      assert.equal(tell(indexAfter(order), letters), expected, order.map(({ pod }) => pod.uid).join());
      assert.equal(tell(indexAfter([...order, ...order.toReversed()]), letters), expected);
    }
  });
}
