import { connect } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kubernetesNamespace } from '../../libs/engines/src/containerd-store/namespaces.ts';
import { containerdStore } from '../../libs/engines/src/containerd-store/store.ts';
import { CONTAINERD_VERSIONS, withContainerd } from '../lab/containerd.mjs';
import { whyNoEngine } from '../lab/root-session.mjs';
import { GATEWAY, HMI, UP, layersOf, makeSamples, type Samples } from './sample-images.ts';
import { EPOCH, checkFilesystem, withMount, writeStorePartition } from './store-partition.ts';

// What k3s builds on: containerd's namespace k8s.io and its Kubernetes runtime interface. k3s itself is not to be had here.

let folder = '';
let samples: Samples;
beforeAll(async () => {
  folder = join(tmpdir(), `boxship-cri-test-${process.pid}`);
  await mkdir(folder);
  samples = await makeSamples(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The answer of `runtime.v1.ImageService/<method>` to an empty request: protobuf, whose strings stand in it as they are. */
function askImageService(socket: string, method: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const session = connect('http://localhost', { createConnection: () => connectSocket(socket) });
    session.on('error', reject);
    const request = session.request({ ':method': 'POST', ':path': `/runtime.v1.ImageService/${method}`, 'content-type': 'application/grpc', te: 'trailers' }); // prettier-ignore
    const chunks: Buffer[] = [];
    let status: string | undefined;
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('response', (headers) => (status = headers['grpc-status'] as string | undefined));
    request.on('trailers', (headers) => (status = headers['grpc-status'] as string | undefined));
    request.on('error', reject);
    request.on('end', () => {
      session.close();
      if (status === '0') resolve(Buffer.concat(chunks).toString('latin1'));
      else reject(new Error(`${method}: grpc-status ${status}`));
    });
    request.end(Buffer.alloc(5)); // not compressed, no bytes
  });
}

describe.skipIf(whyNoEngine())("containerd's root in the namespace k8s.io", () => {
  it.each(Object.keys(CONTAINERD_VERSIONS))('%s: the runtime interface lists its images, which run', async (version) => {
    const partition = join(folder, 'store.img');
    await writeStorePartition(partition, containerdStore(samples.images, { epoch: EPOCH, root: 'containerd', namespace: kubernetesNamespace })); // prettier-ignore
    await withMount(partition, join(folder, 'store'), 'rw', async () => {
      const state = join(folder, 'store/containerd');
      await withContainerd({ version, state, cri: true, folders: [folder] }, async ({ ctr, socket, log }) => {
        let listed = '';
        for (let tries = 0; listed === ''; tries += 1) {
          // it reads the images first, and answers with an error until it has
          listed = await askImageService(socket, 'ListImages').catch(async (error: Error) => {
            if (tries > 50) throw new Error(`${error.message}\n${log().slice(-3000)}`);
            await new Promise((done) => setTimeout(done, 200));
            return '';
          });
        }
        for (const [name, sample] of [[GATEWAY, samples.gateway], [HMI, samples.hmi]] as const) {
          const { config } = await layersOf(sample);
          for (const text of [`${name}:1.0`, `${name}@${sample.digest}`, config]) expect(listed).toContain(text);
        }
        const output = join(folder, `output-${version}`);
        await ctr('-n', 'k8s.io', 'run', '--rm', '--allow-new-privs', '--env=BOXSHIP_DEMO_ONCE=1', `--log-uri=file://${output}`, `${GATEWAY}:1.0`, 'c'); // prettier-ignore
        expect(await readFile(output, 'utf8')).toContain(UP.gateway);
        await ctr('-n', 'k8s.io', 'leases', 'create', '--id', 'rubbish');
        await ctr('-n', 'k8s.io', 'leases', 'rm', '--sync', 'rubbish'); // garbage collection
        expect(await ctr('-n', 'k8s.io', 'images', 'check')).not.toMatch(/incomplete|false/);
        expect((await ctr('-n', 'k8s.io', 'snapshots', 'ls')).split('\n')).toHaveLength(1 + 8);
      });
    });
    await checkFilesystem(partition);
  });
}); // prettier-ignore
