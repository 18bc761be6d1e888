import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeMessage } from '../../src/simulator/encoding/protobuf.ts';
import { API_ONLY, realServer, startControlPlane } from '../support/real-servers.ts';
import { simulatedPods, throughTheRealServer } from './real-pods.ts';

test(
  "a real API server takes all of the simulator's pods, and the simulator encodes what it gives back byte for byte alike",
  realServer(...API_ONLY),
  async () => {
    const plane = await startControlPlane({ apiOnly: true });
    try {
      const pods = simulatedPods();
      assert.ok(pods.length > 50);
      const real = await Promise.all(pods.map(async (pod) => await throughTheRealServer(plane, 'encoder', pod)));
      for (const { json, protobuf } of real)
        assert.equal(Buffer.from(encodeMessage('Pod', json)).toString('latin1'), protobuf.toString('latin1'));
    } finally {
      await plane.down();
    }
  },
);
