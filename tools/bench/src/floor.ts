// The floor, as a program of its own: node floor.mjs OUT BASE BLOB... copies the base and inflates every blob with Node's
// zlib, all at once, writing the bytes once; fsync at the end. Nothing is verified, nothing is laid out.
import { copyFile, open } from 'node:fs/promises';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';

const [out, base, ...blobs] = process.argv.slice(2) as [string, string, ...string[]];

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r+');
  await handle.sync();
  await handle.close();
}

async function inflate(blob: string, index: number): Promise<void> {
  const handle = await open(join(out, `layer-${index}.tar`), 'w');
  const stream = createReadStream(blob, { highWaterMark: 256 * 1024 }).pipe(createGunzip({ chunkSize: 1024 * 1024 }));
  for await (const chunk of stream) await handle.write(chunk as Uint8Array);
  await handle.sync();
  await handle.close();
}

const copy = async () => {
  await copyFile(base, join(out, 'base.img'));
  await sync(join(out, 'base.img'));
};
await Promise.all([copy(), ...blobs.map(inflate)]);
