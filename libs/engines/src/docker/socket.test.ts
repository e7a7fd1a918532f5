import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { socketFiles, type SocketOptions } from '@boxship/device-socket';
import type { TreeEntry } from '@boxship/model';
import { exampleFacts, examplePublicKey } from '../example-facts.ts';
import { dockerSocket } from './socket.ts';

const GOLDEN = new URL('../../../../test/golden/docker-socket/', import.meta.url).pathname;
const OPTIONS: SocketOptions = {
  engines: [dockerSocket({ facts: exampleFacts, engine: { name: 'docker' } })],
  product: 'acme-gateway',
  machine: 'qemux86-64',
  storeUuid: 'aaaaaaaa-1111-4111-8111-111111111111',
  dataUuid: 'bbbbbbbb-1111-4111-8111-111111111111',
  tableType: 'gpt',
  publicKeyPem: examplePublicKey,
  development: false,
};

async function bytesOf(entry: TreeEntry): Promise<string> {
  const chunks: Uint8Array[] = [];
  if (entry.content) for await (const chunk of entry.content.source.open()) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}

describe('the device socket with docker', () => {
  it('is the golden tree', async () => {
    const { entries, ofProduct } = socketFiles(OPTIONS);
    const list = entries.map(({ path, type, mode, link }) => `${type} ${mode.toString(8)} ${path}${link ? ` -> ${link}` : ''}\n`);
    await expect(list.join('')).toMatchFileSnapshot(join(GOLDEN, 'entries.txt'));
    for (const entry of ofProduct.entries()) {
      if (entry.type === 'file') await expect(await bytesOf(entry)).toMatchFileSnapshot(join(GOLDEN, 'root', entry.path));
    }
  }); // prettier-ignore

  it('names no engine in the files that every device gets', async () => {
    for (const entry of socketFiles(OPTIONS).ofLayer.entries()) {
      const text = (await bytesOf(entry)).replace(/^#.*$|\(dockerd before 25.*\)/gm, '');
      expect(`${entry.path} ${text}`).not.toMatch(/docker|podman|containerd|k3s/);
    }
  });
});
