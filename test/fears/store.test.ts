import { existsSync } from 'node:fs';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { createPublicKey, verify } from 'node:crypto';
import { join } from 'node:path';
import { openProduct, storeProduct, verifyRelease, type StoreBundle, type WrittenBundle } from '@boxship/compose';
import { runProgram, silent } from '@boxship/host';
import { describe, expect, it } from 'vitest';
import { fearProduct, refusal, type FearProduct } from './fear-product.ts';

const store = async (product: FearProduct, compression: 'none' | 'zst' = 'none'): Promise<WrittenBundle> => {
  const open = await openProduct(product.file, { cache: product.cache, progress: silent, version: '0.0.0-test' });
  const [written] = await storeProduct(open, {}, { out: product.path('store'), compression });
  return written!;
};

/** Digest of a part of a file, by tools that are not ours. */
async function digestOfRange(path: string, start: number, size: number): Promise<string> {
  const script = 'tail -c +"$2" "$1" | head -c "$3" | sha256sum';
  const { stdout } = await runProgram('sh', ['-c', script, 'sh', path, String(start + 1), String(size)]);
  return `sha256:${stdout.toString().slice(0, 64)}`;
}

describe('a store for an image that bitbake makes', () => {
  it('is byte for byte what compose puts into an image', async () => {
    await using product = await fearProduct();
    await product.lock();
    const { folder, bundle } = await store(product);
    const [composed] = await product.compose();
    const image = join(composed!.folder, composed!.release.files.find(({ name }) => name.endsWith('.img'))!.name);
    for (const role of ['store', 'data'] as const) {
      const { size, digest, file, name } = bundle.partitions[role];
      const partition = composed!.release.partitions.find((one) => one.role === role)!;
      expect(name).toBe(partition.name ?? name);
      expect(size).toBe(partition.size);
      expect(await digestOfRange(image, partition.start!, partition.size)).toBe(digest);
      expect(await digestOfRange(join(folder, file.name), 0, size)).toBe(digest);
      await runProgram('e2fsck', ['-fn', join(folder, file.name)]);
    }
    expect(bundle.device).toBe('base-image');
  });

  it('is packed when that is asked for, and unpacks to the same', async () => {
    await using product = await fearProduct();
    await product.lock();
    const plain = await store(product);
    const packed = await store(product, 'zst');
    const { file, digest } = packed.bundle.partitions.store;
    expect(digest).toBe(plain.bundle.partitions.store.digest);
    expect(file).toMatchObject({ name: 'acme-1.0.0-tiny-basic.store.ext4.zst', unpacked: { digest } });
    const { stdout } = await runProgram('sh', [
      '-c',
      'zstd -dc "$1" | sha256sum',
      'sh',
      join(packed.folder, file.name),
    ]);
    expect(`sha256:${stdout.toString().slice(0, 64)}`).toBe(digest);
    expect(await readdir(packed.folder)).not.toContain('acme-1.0.0-tiny-basic.store.ext4');
  });

  it('needs no base image, and is the same for a base that is as the layer builds it', async () => {
    await using product = await fearProduct();
    await product.lock();
    const withBase = await store(product);
    await product.edit('boxship.yaml', (text) => text.replace('base: ./vendor.img, ', ''));
    await product.lock();
    const { bundle } = await store(product);
    expect(bundle.device).toBe('generated-layer');
    expect(bundle.variant).not.toHaveProperty('base');
    expect(bundle.partitions.store.digest).toBe(withBase.bundle.partitions.store.digest);
    expect((await refusal(product.compose())).code).toBe('NO_BASE');
  });

  it.each(['units', 'compose'])(
    'without a base image fits the engine as the layer sets it up: logs by its daemon.json, %s',
    async (start) => {
      const yaml = (text: string) =>
        `${text}engine: { name: docker, start: ${start}, settings: { logs: { maxSize: 4MiB, maxFiles: 3 } } }
yocto: { release: wrynose, maintainer: Jane Doe <jane@acme.example> }
`;
      const files = {
        'etc/docker/daemon.json': '{ "log-driver": "local", "log-opts": { "max-size": "4194304", "max-file": "3" } }\n',
        'usr/lib/docker/cli-plugins/docker-compose': '#!/bin/true\n',
      };
      await using product = await fearProduct({ yaml, base: { files } });
      await product.lock();
      const withBase = await store(product);
      await product.edit('boxship.yaml', (text) => text.replace('base: ./vendor.img, ', ''));
      await product.lock();
      const { folder, bundle } = await store(product);
      expect(bundle.device).toBe('generated-layer');
      expect(bundle.partitions.store.digest).toBe(withBase.bundle.partitions.store.digest);
      if (start === 'units') {
        const unit = await runProgram('debugfs', [
          '-R',
          'cat /apps/app/units/boxship-app-app.service',
          join(folder, bundle.partitions.store.file.name),
        ]);
        expect(unit.stdout.toString()).toContain('ExecStart=');
        expect(unit.stdout.toString()).not.toContain('--log-driver'); // the product's bounds, not ours
      }
    },
  );

  it('is signed: each file, and the document that names them', async () => {
    await using product = await fearProduct();
    await product.lock();
    const { folder, bundle } = await store(product);
    const document = await readFile(join(folder, 'acme-1.0.0-tiny-basic.store.json'));
    expect(JSON.parse(document.toString()) as StoreBundle).toEqual(bundle);
    const key = createPublicKey(product.keys.publicKeyPem);
    for (const name of [
      'acme-1.0.0-tiny-basic.store.json',
      ...Object.values(bundle.partitions).map((one) => one.file.name),
    ]) {
      const signature = Buffer.from(await readFile(join(folder, `${name}.sig`), 'utf8'), 'base64');
      expect(verify('sha256', await readFile(join(folder, name)), key, signature), name).toBe(true);
    }
  });

  it('is verified as a release is: a changed, a cut off, a missing and a strange file are told', async () => {
    await using product = await fearProduct();
    await product.lock();
    const { folder, bundle } = await store(product, 'zst');
    const key = product.keys.publicKeyPem;
    const document = `${bundle.bundle}.store.json`;
    const { store: packed, data } = bundle.partitions;
    const verified = await verifyRelease(folder, key);
    expect(verified.bundle).toEqual(bundle);
    expect(verified.files.map(({ name, digest }) => ({ name, digest }))).toEqual(
      [packed.file, data.file].map(({ name, digest }) => ({ name, digest })),
    );
    expect((await verifyRelease(join(folder, data.file.name), key)).files).toHaveLength(1);
    expect((await verifyRelease(join(folder, document), key)).bundle).toEqual(bundle);

    const original = await readFile(join(folder, packed.file.name));
    await writeFile(join(folder, packed.file.name), original.subarray(0, -1));
    await writeFile(join(folder, 'stranger'), '');
    await runProgram('rm', [join(folder, data.file.name)]);
    const wrong = await refusal(verifyRelease(folder, key));
    expect(wrong.problems.map(({ code }) => code).sort()).toEqual(['MISSING_FILE', 'STRANGE_FILE', 'WRONG_SIZE']);

    const text = await readFile(join(folder, document), 'utf8');
    await writeFile(join(folder, document), text.replace(packed.digest, data.digest));
    expect((await refusal(verifyRelease(folder, key))).problems.map(({ code }) => code)).toContain('DIGEST_MISMATCH');
    // one that was signed for another name
    await writeFile(join(folder, document), text);
    for (const end of ['', '.sig', '.sigstore.json']) {
      await runProgram('mv', [join(folder, `${document}${end}`), join(folder, `release.json${end}`)]);
    }
    expect((await refusal(verifyRelease(folder, key))).code).toBe('WRONG_DOCUMENT');
  });

  it('leaves what was there alone when it cannot be written', async () => {
    await using product = await fearProduct();
    await product.lock();
    const { folder } = await store(product);
    const before = (await readdir(folder)).sort();
    process.env['COSIGN_PASSWORD'] = 'wrong';
    expect((await refusal(store(product))).code).toBe('WRONG_PASSWORD');
    process.env['COSIGN_PASSWORD'] = 'not a secret';
    expect((await readdir(folder)).sort()).toEqual(before);
    await using other = await fearProduct();
    await other.lock();
    await runProgram('mkdir', ['-p', other.path('store/acme-1.0.0')]);
    await writeFile(other.path('store/acme-1.0.0/tiny-docker-basic'), 'mine');
    expect((await refusal(store(other))).code).toBe('OUTPUT_TAKEN');
    expect(await readFile(other.path('store/acme-1.0.0/tiny-docker-basic'), 'utf8')).toBe('mine');
  });

  it('is not left half behind when the run is stopped', async () => {
    await using product = await fearProduct();
    await product.lock();
    const open = await openProduct(product.file, { cache: product.cache, progress: silent, version: '0.0.0-test' });
    const stopped = AbortSignal.abort(new Error('stopped'));
    await expect(
      storeProduct(open, {}, { out: product.path('store'), compression: 'none', signal: stopped }),
    ).rejects.toThrow();
    expect(existsSync(product.path('store/acme-1.0.0/tiny-docker-basic'))).toBe(false);
    const left = await readdir(product.path('store/acme-1.0.0')).catch(() => []);
    expect(left).toEqual([]);
  });

  it.each(['gpt', 'mbr'] as const)(
    'is not put beside another one: a base image that holds a store is refused, %s',
    async (table) => {
      await using product = await fearProduct({ base: { table } });
      await product.lock();
      const [composed] = await product.compose();
      const image = join(composed!.folder, composed!.release.files.find(({ name }) => name.endsWith('.img'))!.name);
      await product.edit('boxship.yaml', (text) => text.replace('./vendor.img', image));
      await product.lock();
      const { code, message } = await refusal(product.plan());
      expect(code).toBe('STORE_IN_BASE');
      expect(message).toContain('"boxship-store"');
    },
  );
});
