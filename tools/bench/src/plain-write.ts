// What writing alone costs, as a program of its own: node plain-write.mjs FILE BYTES... writes so many bytes into each new file, fsync
// at the end of each.
import { open } from 'node:fs/promises';

const files = process.argv.slice(2);
const block = Buffer.alloc(1024 * 1024, 0x5a);
for (let at = 0; at < files.length; at += 2) {
  const handle = await open(files[at]!, 'w');
  for (let left = Number(files[at + 1]); left > 0; left -= block.length)
    await handle.write(block, 0, Math.min(left, block.length));
  await handle.sync();
  await handle.close();
}
