import { connect } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { k3s } from '../../libs/engines/src/k3s/index.ts';
import { exampleFacts } from '../../libs/engines/src/example-facts.ts';
import { CONTAINERD_VERSIONS, withContainerd } from '../lab/containerd.mjs';
import { whyNoEngine } from '../lab/root-session.mjs';
import { GATEWAY, HMI, UP, layersOf, makeSamples, type Samples } from './sample-images.ts';
import { EPOCH, checkFilesystem, withMount, writeStorePartition } from './store-partition.ts';

// The store of the engine k3s, opened by what k3s builds on: containerd and its Kubernetes runtime interface. k3s itself is not to be had here.

const DEVICE = { facts: exampleFacts, engine: { name: 'k3s' } };

let folder = '';
let samples: Samples;
beforeAll(async () => {
  folder = join(tmpdir(), `boxship-cri-test-${process.pid}`);
  await mkdir(folder);
  samples = await makeSamples(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A message of protobuf: strings, numbers and messages by the number of their field. */
type Message = { readonly [field: number]: string | number | Message };

function encode(message: Message): Buffer {
  const parts = Object.entries(message).map(([field, value]) => {
    if (typeof value === 'number') return Buffer.from([Number(field) << 3, value]); // below 128
    const bytes = typeof value === 'string' ? Buffer.from(value) : encode(value);
    return Buffer.concat([Buffer.from([(Number(field) << 3) | 2, ...lengthOf(bytes)]), bytes]);
  });
  return Buffer.concat(parts);
}

function lengthOf({ length }: Buffer): readonly number[] {
  return length < 128 ? [length] : [(length & 127) | 128, length >> 7];
}

/** The first field of an answer, a short string. */
function firstString(answer: Buffer): string {
  return answer.subarray(2, 2 + answer[1]!).toString();
}

/** What `runtime.v1.<method>` of the runtime interface answers. */
function ask(socket: string, method: string, request: Message = {}): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const session = connect('http://localhost', { createConnection: () => connectSocket(socket) });
    session.on('error', reject);
    const stream = session.request({ ':method': 'POST', ':path': `/runtime.v1.${method}`, 'content-type': 'application/grpc', te: 'trailers' }); // prettier-ignore
    const chunks: Buffer[] = [];
    let status: readonly [code?: unknown, message?: unknown] = [];
    const take = (headers: Readonly<Record<string, unknown>>) => {
      if (headers['grpc-status'] !== undefined) status = [headers['grpc-status'], headers['grpc-message']];
    };
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('response', take);
    stream.on('trailers', take);
    stream.on('error', reject);
    stream.on('end', () => {
      session.close();
      if (status[0] === '0')
        resolve(Buffer.concat(chunks).subarray(5)); // behind its length
      else reject(new Error(`${method}: ${status.join(' ')}`));
    });
    const body = encode(request);
    const head = Buffer.alloc(5); // not compressed
    head.writeUInt32BE(body.length, 1);
    stream.end(Buffer.concat([head, body]));
  });
}

/** Runs a pod as the kubelet does, on the network of the machine (no CNI is asked), until its container has said its words. */
async function runPod(socket: string, image: string, logs: string): Promise<string> {
  const onNode = { 1: 2, 2: 0, 3: 0 }; // NamespaceOption: network NODE
  const pod = { 1: { 1: 'p', 2: 'uid-p', 3: 'default' }, 3: logs, 8: { 2: { 1: onNode } } };
  const id = firstString(await ask(socket, 'RuntimeService/RunPodSandbox', { 1: pod }));
  const config = { 1: { 1: 'c' }, 2: { 1: image }, 6: { 1: 'BOXSHIP_DEMO_ONCE', 2: '1' }, 11: 'c.log', 15: { 2: { 3: onNode } } }; // prettier-ignore
  const container = firstString(await ask(socket, 'RuntimeService/CreateContainer', { 1: id, 2: config, 3: pod }));
  await ask(socket, 'RuntimeService/StartContainer', { 1: container });
  let said = '';
  for (let tries = 0; tries < 100 && !said.includes('is up'); tries += 1) {
    said = await readFile(join(logs, 'c.log'), 'utf8').catch(() => '');
    await new Promise((done) => setTimeout(done, 100));
  }
  await ask(socket, 'RuntimeService/StopPodSandbox', { 1: id });
  await ask(socket, 'RuntimeService/RemovePodSandbox', { 1: id });
  return said;
}

describe.skipIf(whyNoEngine())("containerd's root in the namespace k8s.io", () => {
  it.each(Object.keys(CONTAINERD_VERSIONS))('%s: the runtime interface lists its images, pinned, and a pod of them runs', async (version) => {
    const partition = join(folder, 'store.img');
    await writeStorePartition(partition, k3s.preload(samples.images, DEVICE, { epoch: EPOCH })); // prettier-ignore
    await withMount(partition, join(folder, 'store'), 'rw', async () => {
      const state = join(folder, 'store/k3s-containerd');
      await withContainerd({ version, state, cri: true, sandboxImage: `${HMI}:1.0`, folders: [folder] }, async ({ ctr, session, socket, log }) => {
        let listed = '';
        for (let tries = 0; listed === ''; tries += 1) {
          // it reads the images first, and answers with an error until it has
          listed = await ask(socket, 'ImageService/ListImages').then((answer) => answer.toString('latin1')).catch(async (error: Error) => {
            if (tries > 50) throw new Error(`${error.message}\n${log().slice(-3000)}`);
            await new Promise((done) => setTimeout(done, 200));
            return '';
          });
        }
        for (const [name, sample] of [[GATEWAY, samples.gateway], [HMI, samples.hmi]] as const) {
          const { config } = await layersOf(sample);
          for (const text of [`${name}:1.0`, `${name}@${sample.digest}`, config]) expect(listed).toContain(text);
          // the names that a pod may say, each of them known without a registry; pinned: the kubelet does not remove it
          for (const text of [`${name}:1.0`, `${name}@${sample.digest}`, `${name}:1.0@${sample.digest}`, config]) {
            const status = await ask(socket, 'ImageService/ImageStatus', { 1: { 1: text } });
            expect(status.toString('latin1'), text).toContain(config);
            expect(status.includes(Buffer.from([8 << 3, 1])), text).toBe(version !== '1.6'); // 1.6.22 is the first of 1.6
          }
        }
        await session.run('/run/busybox', ['touch', '/etc/hosts', '/etc/resolv.conf']); // a device has them
        const logs = join(folder, `logs-${version}`);
        await mkdir(logs);
        expect(await runPod(socket, `${GATEWAY}:1.0`, logs), log().slice(-3000)).toContain(UP.gateway);
        const output = join(folder, `output-${version}`);
        await ctr('-n', 'k8s.io', 'run', '--rm', '--allow-new-privs', '--env=BOXSHIP_DEMO_ONCE=1', `--log-uri=file://${output}`, `${GATEWAY}:1.0`, 'c'); // prettier-ignore
        expect(await readFile(output, 'utf8')).toContain(UP.gateway);
        await ctr('-n', 'k8s.io', 'leases', 'create', '--id', 'rubbish');
        await ctr('-n', 'k8s.io', 'leases', 'rm', '--sync', 'rubbish'); // garbage collection
        // the compressed layers are left out: documents and snapshots are there
        const checked = (await ctr('-n', 'k8s.io', 'images', 'check')).split('\n').slice(1);
        expect(checked.map((line) => /true\s*$/.test(line))).toEqual(Array(6).fill(true));
        expect((await ctr('-n', 'k8s.io', 'snapshots', 'ls')).split('\n')).toHaveLength(1 + 8);
      });
    });
    await checkFilesystem(partition);
  });
}); // prettier-ignore
