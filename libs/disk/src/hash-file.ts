import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { MiB, type Digest } from '@boxship/model';

/** SHA-256 and size of a file, read once. `onBytes` is told how many more bytes are done. */
export async function hashFile(
  path: string,
  onBytes: (bytes: number) => void = () => {},
): Promise<{ digest: Digest; size: number }> {
  const handle = await open(path, 'r');
  try {
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafeSlow(MiB);
    let size = 0;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, size);
      if (bytesRead === 0) return { digest: `sha256:${hash.digest('hex')}`, size };
      hash.update(buffer.subarray(0, bytesRead));
      size += bytesRead;
      onBytes(bytesRead);
    }
  } finally {
    await handle.close();
  }
}
