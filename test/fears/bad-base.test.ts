import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { copyFile, open, readFile, truncate, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';
import { ROOTFS_START } from '../fixtures/tiny-base/build.mjs';
import { exists, fearProduct, filesBelow, refusal, type FearProduct } from './fear-product.ts';

/** Changes bytes of the vendor's image. */
async function patch(product: FearProduct, position: number, bytes: Uint8Array): Promise<void> {
  const handle = await open(product.path('vendor.img'), 'r+');
  await handle.write(bytes, 0, bytes.length, position);
  await handle.close();
}

/** What lock and plan say of a base image that was changed before both. */
async function planned(change: (product: FearProduct) => Promise<void>, base = {}) {
  await using product = await fearProduct({ base });
  await change(product);
  const error = await refusal(product.lock().then(() => product.compose()));
  expect(await exists(product.out)).toBe(false);
  for (const problem of error.problems) expect(problem.hint, problem.message).toBeTruthy();
  return error;
}

describe('a partition table', () => {
  it.each([
    ['the first copy', 512],
    ['the entries of the first copy', 1024],
    ['the last copy', 10 * 1024 * 1024 - 512],
  ])('with damage in %s is read from the other, with a warning, and written whole', async (_what, position) => {
    await using product = await fearProduct();
    await patch(product, position, Buffer.alloc(24, 0x5a));
    await product.lock();
    const [plan] = await product.plan();
    expect(plan!.warnings.join('\n')).toMatch(/GPT|partition table/i);
    const [composed] = await product.compose();
    const image = `${composed!.folder}/acme-1.0.0-tiny-basic.img`;
    const { stdout, stderr } = await runProgram('sfdisk', ['-J', image]);
    const table = JSON.parse(stdout.toString()) as { partitiontable: { partitions: { name: string }[] } };
    expect(table.partitiontable.partitions.map(({ name }) => name)).toEqual(['boot', 'root', 'boxship-store', 'boxship-data']); // prettier-ignore
    expect(stderr).toBe('');
  });

  it('with damage in both copies is refused', async () => {
    const error = await planned(async (product) => {
      await patch(product, 512, Buffer.alloc(24, 0x5a));
      await patch(product, 10 * 1024 * 1024 - 512, Buffer.alloc(24, 0x5a));
    });
    expect(error.code).toMatch(/GPT|TABLE/);
  });

  it('with partitions that overlap is refused, naming both', async () => {
    const error = await planned(async (product) => {
      const mbr = Buffer.alloc(32);
      for (const [at, start] of [[0, 2048], [16, 3000]] as const) {
        mbr[at + 4] = 0x83;
        mbr.writeUInt32LE(start, at + 8);
        mbr.writeUInt32LE(2048, at + 12);
      } // prettier-ignore
      await patch(product, 446, mbr);
    }, { table: 'mbr' }); // prettier-ignore
    expect(error.message).toMatch(/overlap/);
    expect(error.message).toMatch(/1.*2/s);
  });

  it('that says more than the file holds is refused', async () => {
    const error = await planned((product) => truncate(product.path('vendor.img'), 6 * 1024 * 1024));
    expect(error.message).toMatch(/vendor\.img|6291456|6\.0 MiB/);
  });
});

describe('a base image', () => {
  it('that is none is refused', async () => {
    const error = await planned((product) => product.write('vendor.img', 'no image at all\n'.repeat(1000)));
    expect(error.code).toBe('BASE_IMAGE_UNKNOWN');
  });

  it('that is not there, is a folder or is empty is refused by lock, where boxship.yaml names it', async () => {
    await using product = await fearProduct({ yaml: (text) => text.replace('./vendor.img', './other.img') });
    const missing = await refusal(product.lock());
    expect(missing).toMatchObject({ code: 'NOT_FOUND', problems: [{ where: { line: 5 } }] });
    await product.write('other.img/file', '');
    expect(await refusal(product.lock())).toMatchObject({ code: 'NO_BASE_IMAGE', problems: [{ where: { line: 5 } }] });
    await product.edit('boxship.yaml', (text) => text.replace('./other.img', './empty.img'));
    await product.write('empty.img', '');
    expect((await refusal(product.lock().then(() => product.plan()))).code).toMatch(/^BASE_IMAGE_/);
  });

  it('that was changed after lock is refused with both digests', async () => {
    await using product = await fearProduct();
    const lock = await product.lock();
    await patch(product, 64 * 1024, Buffer.from('V'));
    const error = await refusal(product.compose());
    expect(error).toMatchObject({ code: 'BASE_CHANGED', problems: [{ where: { line: 5 } }] });
    expect(error.message).toContain(lock.bases['tiny']!.digest);
    expect(await exists(product.out)).toBe(false);
  });

  it('that is compressed is unpacked by lock; cut short or damaged it is refused', async () => {
    await using product = await fearProduct({ yaml: (text) => text.replace('vendor.img', 'vendor.img.gz') });
    const packed = gzipSync(await readFile(product.path('vendor.img')), { level: 1 });
    await product.write('vendor.img.gz', packed.subarray(0, packed.length / 2));
    expect((await refusal(product.lock())).code).toBe('BASE_IMAGE_TRUNCATED');
    const damaged = Buffer.from(packed);
    damaged[damaged.length - 6]! ^= 1; // the checksum
    await product.write('vendor.img.gz', damaged);
    expect((await refusal(product.lock())).code).toBe('BASE_IMAGE_DAMAGED');
    expect(Object.keys(await filesBelow(product.cache.root)).filter((name) => name.includes('base-image'))).toEqual([]);
    await product.write('vendor.img.gz', packed);
    await product.lock();
    expect(await product.plan()).toHaveLength(1);
  });

  it('whose rootfs is not found is refused with the list of partitions', async () => {
    const error = await planned(async () => {}, { files: { 'etc/os-release': undefined } });
    expect(error.code).toBe('ROOTFS_NOT_FOUND');
    expect(error.message).toMatch(/2 partitions:\n {2}1 "boot".*\n {2}2 "root".*ext4 labelled "root"/);
  });

  it('without docker, systemd or what verification needs is refused, with what is missing', async () => {
    const engine = await planned(async () => {}, { files: { 'usr/sbin/dockerd': undefined } });
    expect(engine.code).toBe('ENGINE_MISSING');
    const init = await planned(async () => {}, { files: { 'usr/sbin/init': '#!/bin/sh\n' } });
    expect(init.code).toBe('INIT_UNSUPPORTED');
    const openssl = await planned(async () => {}, { files: { 'usr/bin/openssl': undefined } });
    expect(openssl).toMatchObject({ code: 'DEVICE_PROGRAM_MISSING' });
    expect(openssl.message).toContain('openssl');
  });

  it.each([
    ['was not unmounted cleanly', 'EXT4_DIRTY', 0x3a, [0, 0]],
    ['has recorded errors', 'EXT4_DIRTY', 0x3a, [3, 0]],
    ['is marked read-only', 'EXT4_READ_ONLY', 0x65, [0x10]],
    ['has shared blocks', 'EXT4_READ_ONLY', 0x65, [0x40]],
  ] as const)('whose rootfs %s is refused before a byte is written, by plan too', async (_what, code, at, value) => {
    await using product = await fearProduct({ base: { options: ['-O', '^metadata_csum'] } });
    const position = ROOTFS_START + 1024 + at;
    const disk = await readFile(product.path('vendor.img'));
    const bytes = at === 0x3a ? Buffer.from(value) : Buffer.from([disk[position]! | value[0]]);
    await patch(product, position, bytes);
    await product.lock();
    for (const work of [() => product.plan(), () => product.compose()]) {
      const error = await refusal(work());
      expect(error.code).toBe(code);
      expect(error.problems[0]!.hint).toBeTruthy();
    }
    expect(await exists(product.out)).toBe(false);
  }); // prettier-ignore

  it('whose rootfs dm-verity protects is refused', async () => {
    // a file system that is shorter than its partition, and verity's superblock behind it
    const error = await planned(async (product) => {
      const small = product.path('small');
      await copyFile(product.path('vendor.img'), small);
      await truncate(small, ROOTFS_START + 7 * 1024 * 1024);
      const rootfs = product.path('rootfs');
      await writeFile(rootfs, (await readFile(small)).subarray(ROOTFS_START));
      await runProgram('resize2fs', [rootfs, '6M']);
      await patch(product, ROOTFS_START, (await readFile(rootfs)).subarray(0, 6 * 1024 * 1024));
      await patch(product, ROOTFS_START + 6 * 1024 * 1024, Buffer.from('verity\0\0'));
    });
    expect(error).toMatchObject({ code: 'EXT4_READ_ONLY' });
    expect(error.message).toContain('verity');
  });

  it('whose rootfs is full is refused', async () => {
    const error = await planned(async () => {}, { files: { 'usr/share/big': 'x'.repeat(7_030_000) } });
    expect(error.code).toBe('ROOTFS_FULL');
  });
});

describe('a base image from a URL', () => {
  async function served(work: (url: string, product: FearProduct, body: Buffer) => Promise<void>, lie: 'no' | 'cut' | 'changed' | '404') {
    await using product = await fearProduct();
    const body = await readFile(product.path('vendor.img'));
    const server = createServer((_request, response) => {
      if (lie === '404') return response.writeHead(404).end();
      response.writeHead(200, { 'content-length': body.length });
      const sent = lie === 'changed' ? Buffer.concat([Buffer.from([body[0]! ^ 1]), body.subarray(1)]) : body;
      response.write(sent.subarray(0, body.length / 2));
      if (lie === 'cut') setTimeout(() => response.destroy(), 50);
      else response.end(sent.subarray(body.length / 2));
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/vendor.img`;
      const sha256 = createHash('sha256').update(body).digest('hex');
      await product.edit('boxship.yaml', (text) => text.replace('./vendor.img', `{ url: "${url}", sha256: "${sha256}" }`));
      await work(url, product, body);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  } // prettier-ignore

  it('is downloaded, verified and used', () =>
    served(async (_url, product) => {
      await product.lock();
      expect(await product.plan()).toHaveLength(1);
    }, 'no'));

  it.each([
    ['cut', 'DOWNLOAD_FAILED'],
    ['404', 'DOWNLOAD_FAILED'],
    ['changed', 'WRONG_DIGEST'],
  ] as const)('that is %s is refused, and nothing of it stays in the cache that looks whole', (lie, code) =>
    served(async (url, product) => {
      const error = await refusal(product.lock());
      expect(error).toMatchObject({ code, problems: [{ where: { line: 5 } }] });
      expect(error.message).toContain(url);
      expect(error.problems[0]!.hint).toBeTruthy();
      const left = Object.keys(await filesBelow(product.cache.root));
      expect(left).toEqual(lie === 'cut' ? [expect.stringMatching(/\.partial$/)] : []); // to be taken up again
    }, lie),
  );
});
