import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import type { Inspection } from '@boxship/inspect';
import { describe, expect, inject, it } from 'vitest';
import { readSampleRelease } from './sample-product.ts';

const product = inject('product');

async function inspect(...words: string[]): Promise<Inspection> {
  const args = [product.program, 'inspect', '--json', ...words];
  const { stdout } = await runProgram(process.execPath, args, {
    env: { BOXSHIP_CACHE: join(product.folder, 'cache') },
  });
  return JSON.parse(stdout.toString()) as Inspection;
}

describe('boxship inspect, of what compose made', () => {
  it('shows the partitions of sfdisk, the file systems of dumpe2fs and the images of skopeo', async () => {
    const { image } = await readSampleRelease(product.folder, 'pro');
    const { devices, problems } = await inspect(image, '--key', product.publicKey);
    expect(problems).toEqual([]);
    const { stdout } = await runProgram('sfdisk', ['-J', image]);
    const { partitiontable } = JSON.parse(stdout.toString()) as { partitiontable: { partitions: Sfdisk[] } };
    const { partitions } = devices![0]!;
    expect(partitions.map(({ name, start, size }) => ({ name, start, size }))).toEqual(
      partitiontable.partitions.map(({ name, start, size }) => ({ name, start: start * 512, size: size * 512 })),
    );
    const { filesystem } = partitions.find(({ name }) => name === 'boxship-store')!;
    const [own] = filesystem!.store!.stores;
    expect(filesystem!.store).toMatchObject({ signature: 'ok', product: 'acme-gateway', apps: ['gateway', 'hmi'] });
    for (const { reference, manifest } of filesystem!.store!.images) {
      const layout = join(product.folder, 'images', reference.includes('/hmi:') ? 'hmi' : 'gateway');
      expect(manifest).toBe(await skopeoManifest(`oci:${layout}:1.0`));
      expect(own!.images.find(({ names }) => names.includes(reference))).toMatchObject({ manifest });
    }
    const rootfs = partitions.find((one) => one.filesystem?.system?.engines.length);
    expect(rootfs!.filesystem!.system).toMatchObject({
      id: 'debian',
      init: 'systemd',
      socketVersion: expect.any(Number),
    });
  });

  it('shows the release with every file there, and its signature', async () => {
    const { folder } = await readSampleRelease(product.folder, 'pro');
    const { release } = await inspect(folder, '--key', product.publicKey);
    expect(release).toMatchObject({ signature: 'ok', apps: ['gateway', 'hmi'] });
    expect(new Set(release!.files.map(({ state }) => state))).toEqual(new Set(['there']));
  });
});

/** Digest of the manifest for linux/amd64, of an index or of an image without one. */
async function skopeoManifest(image: string): Promise<string> {
  const { stdout } = await runProgram('skopeo', ['inspect', '--raw', image]);
  const document = JSON.parse(stdout.toString()) as { manifests?: IndexEntry[] };
  const entry = document.manifests?.find(({ platform }) => platform?.architecture === 'amd64');
  return entry?.digest ?? `sha256:${createHash('sha256').update(stdout).digest('hex')}`;
}

interface IndexEntry {
  readonly digest: string;
  readonly platform?: { readonly architecture: string };
}

interface Sfdisk {
  readonly name: string;
  readonly start: number;
  readonly size: number;
}
