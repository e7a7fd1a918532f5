import { createHash, randomBytes } from 'node:crypto';
import { open, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { withScratch } from '@boxship/host';
import type { Digest } from '@boxship/model';
import type { LayerBlob } from './blob-reader.ts';
import { layerContent } from './layer-content.ts';

/** Large enough for a thread of its own, whatever zlib makes of it. */
const tar = randomBytes(5_000_000);
const digestOf = (bytes: Uint8Array): Digest => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

async function writeBlob(folder: string, bytes: Uint8Array, mediaType: string): Promise<LayerBlob> {
  const blobPath = join(folder, 'blob');
  await writeFile(blobPath, bytes);
  return { blobPath, blob: { mediaType, digest: digestOf(bytes), size: bytes.length }, diffId: digestOf(tar) };
}

/** The whole stream, scattered over a file as one piece. */
async function scattered(layer: LayerBlob, folder: string, size = tar.length): Promise<Buffer> {
  const path = join(folder, 'target');
  const handle = await open(path, 'w');
  try {
    const pieces = { lowest: 0, ascending: true, batches: () => [Float64Array.of(0, size, 0, 0)] };
    await layerContent(layer, { tarSize: size }).scatter!(
      [{ descriptor: handle.fd, path, start: 0, pieces, onWritten: () => {} }],
      {
        onBytes: () => {},
      },
    );
    return await readFile(path);
  } finally {
    await handle.close();
  }
}

const GZIP = 'application/vnd.oci.image.layer.v1.tar+gzip';
const TAR = 'application/vnd.oci.image.layer.v1.tar';

describe('the content of a large layer', () => {
  it('scatters what it streams: gzip, plain, and plain that is called gzip', async () => {
    await withScratch(async (folder) => {
      for (const [bytes, type] of [[gzipSync(tar), GZIP], [tar, TAR], [tar, GZIP]] as const) {
        const layer = await writeBlob(folder, bytes, type);
        const chunks: Buffer[] = [];
        for await (const chunk of layerContent(layer, { tarSize: tar.length }).open()) chunks.push(Buffer.from(chunk));
        expect(Buffer.compare(Buffer.concat(chunks), tar)).toBe(0);
        expect(Buffer.compare(await scattered(layer, folder), tar)).toBe(0);
      }
    });
  }); // prettier-ignore

  it('does not scatter what needs JavaScript to be inflated, or what is small', async () => {
    await withScratch(async (folder) => {
      const layer = await writeBlob(folder, tar, 'application/vnd.oci.image.layer.v1.tar+zstd');
      expect(
        layerContent({ ...layer, diffId: digestOf(Buffer.of(1)) }, { tarSize: tar.length }).scatter,
      ).toBeUndefined();
      const small = await writeBlob(folder, Buffer.from(gzipSync(Buffer.alloc(5_000_000))), GZIP);
      expect(layerContent(small, { tarSize: 5_000_000 }).scatter).toBeUndefined();
    });
  });

  it('is told as damaged, whatever the damage looks like', async () => {
    await withScratch(async (folder) => {
      const bytes = gzipSync(tar);
      const layer = await writeBlob(folder, bytes, GZIP);
      // in the middle, in the header, in the checksum of what comes out, and where inflating does not see it
      const flips = [bytes.length >> 1, 4, bytes.length - 6];
      for (const at of flips) {
        const damaged = Buffer.from(bytes);
        damaged[at]! ^= 0x10;
        await writeFile(layer.blobPath, damaged);
        await expect(scattered(layer, folder), `byte ${at}`).rejects.toMatchObject({ code: 'WRONG_DIGEST' });
      }
      await writeFile(layer.blobPath, bytes);
      await truncate(layer.blobPath, bytes.length - 1);
      await expect(scattered(layer, folder)).rejects.toMatchObject({ code: 'TRUNCATED_BLOB' });
      await writeFile(layer.blobPath, Buffer.concat([bytes, Buffer.of(0)]));
      await expect(scattered(layer, folder)).rejects.toMatchObject({ code: 'WRONG_SIZE' });
    });
  });

  it('is refused when it is not as long as its inventory says', async () => {
    await withScratch(async (folder) => {
      const layer = await writeBlob(folder, gzipSync(tar), GZIP);
      await expect(scattered(layer, folder, tar.length + 1)).rejects.toMatchObject({ code: 'CONTENT_TOO_SHORT' });
      await expect(scattered(layer, folder, tar.length - 1)).rejects.toThrow(/more than/);
    });
  });
});
