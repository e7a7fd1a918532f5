// What writing alone costs, as a program of its own: node plain-write.mjs FILE BYTES writes so many bytes, fsync at the end.
import { open } from 'node:fs/promises';

const [path, bytes] = process.argv.slice(2) as [string, string];
const handle = await open(path, 'w');
const block = Buffer.alloc(1024 * 1024, 0x5a);
for (let left = Number(bytes); left > 0; left -= block.length)
  await handle.write(block, 0, Math.min(left, block.length));
await handle.sync();
await handle.close();
