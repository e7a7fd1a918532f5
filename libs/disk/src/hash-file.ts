import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { MiB, type ByteRange, type Digest } from '@boxship/model';

export interface StreamDigests {
  readonly digest: Digest;
  readonly size: number;
  /** Of the parts that were asked for, in their order. */
  readonly parts: readonly Digest[];
}

/** SHA-256 of a stream and of parts of it, each some ranges of the stream, ascending and apart, one after another. */
export function streamDigests(parts: readonly (readonly ByteRange[])[] = []): {
  add(bytes: Uint8Array): void;
  digests(): StreamDigests;
} {
  const whole = createHash('sha256');
  const open = parts.map((ranges) => ({ ranges, next: 0, hash: createHash('sha256') }));
  let size = 0;
  return {
    add(bytes) {
      whole.update(bytes);
      for (const part of open) {
        for (; part.next < part.ranges.length; part.next++) {
          const { start, end } = part.ranges[part.next]!;
          if (start < size + bytes.length && end > size) {
            part.hash.update(bytes.subarray(Math.max(0, start - size), Math.min(bytes.length, end - size)));
          }
          if (end > size + bytes.length) break;
        }
      }
      size += bytes.length;
    },
    digests: () => ({
      digest: `sha256:${whole.digest('hex')}`,
      size,
      parts: open.map(({ hash }): Digest => `sha256:${hash.digest('hex')}`),
    }),
  };
}

/** SHA-256 and size of a file, read once. `onBytes` is told how many more bytes are done. */
export async function hashFile(
  path: string,
  onBytes?: (bytes: number) => void,
): Promise<{ digest: Digest; size: number }> {
  const { digest, size } = await hashParts(path, [], onBytes);
  return { digest, size };
}

/** The same, and digests of parts of it. */
export async function hashParts(
  path: string,
  parts: readonly (readonly ByteRange[])[],
  onBytes: (bytes: number) => void = () => {},
): Promise<StreamDigests> {
  const handle = await open(path, 'r');
  try {
    const digests = streamDigests(parts);
    const buffer = Buffer.allocUnsafeSlow(MiB);
    for (let position = 0; ;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
      if (bytesRead === 0) return digests.digests();
      digests.add(buffer.subarray(0, bytesRead));
      position += bytesRead;
      onBytes(bytesRead);
    }
  } finally {
    await handle.close();
  }
}
