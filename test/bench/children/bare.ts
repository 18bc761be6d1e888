import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { request } from 'undici';
import { JsonSplitter } from '../floors/json.ts';
import { ProtobufSplitter } from '../floors/protobuf.ts';
import { BareIndex } from '../floors/record.ts';
import type { BareRecord } from '../floors/record.ts';
import { SYNC_QUERY } from '../floors/sync-query.ts';
import { answering } from './answering.ts';

/** The floor of reading the cluster: stream, decode, keep a compact record; beside it a bare HTTP server over the same map. */

let index = new BareIndex();

const ACCEPT = {
  protobuf: 'application/vnd.kubernetes.protobuf;stream=watch',
  json: 'application/json',
} as const;

type Format = keyof typeof ACCEPT;

async function sync({ url, format }: { url: string; format: Format }): Promise<{ wall: number; pods: number }> {
  const began = performance.now();
  const fresh = new BareIndex();
  const splitter = format === 'protobuf' ? new ProtobufSplitter() : new JsonSplitter();
  // A relist keeps the record of a pod that is as it was.
  const upsert = (pod: BareRecord): void => {
    const known = index.byUid.get(pod.uid);
    fresh.upsert(known?.resourceVersion === pod.resourceVersion ? known : pod);
  };
  const response = await request(`${url}/api/v1/pods?${SYNC_QUERY}`, { headers: { accept: ACCEPT[format] } });
  let done = false;
  for await (const chunk of response.body) {
    splitter.push(chunk as Buffer, upsert, () => (done = true));
    if (done) break;
  }
  index = fresh;
  return { wall: (performance.now() - began) / 1000, pods: index.byUid.size };
}

const server = createServer((req, res) => {
  const pod = index.byIp.get((req.url ?? '').slice('/pod?ip='.length));
  const body = pod ? JSON.stringify(pod) : '{}';
  res.writeHead(pod ? 200 : 404, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  res.end(body);
});

/** The floor of decoding: every chunk through the splitter into the maps; CPU seconds. */
function replay({ chunks, format }: { chunks: Buffer[]; format: Format }): { cpu: number; events: number } {
  const splitter = format === 'protobuf' ? new ProtobufSplitter() : new JsonSplitter();
  let events = 0;
  const began = process.cpuUsage();
  for (const chunk of chunks) {
    splitter.push(
      chunk,
      (pod) => {
        index.upsert(pod);
        events++;
      },
      () => undefined,
    );
  }
  const used = process.cpuUsage(began);
  return { cpu: (used.user + used.system) / 1e6, events };
}

answering({
  listen: () =>
    new Promise((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
    }),
  sync,
  replay,
});
