import { mkdir, open } from 'node:fs/promises';
import { runProgram } from '@boxship/host';

export interface ByteRange {
  readonly start: number;
  readonly size: number;
}

/** Copies a range of a file, a partition of an image for example, into a file of its own. */
export async function copyRange(image: string, { start, size }: ByteRange, to: string): Promise<void> {
  const [source, target] = [await open(image), await open(to, 'w')];
  try {
    const piece = Buffer.alloc(1 << 20);
    for (let at = 0; at < size; at += piece.length) {
      const { bytesRead } = await source.read(piece, 0, Math.min(piece.length, size - at), start + at);
      await target.write(piece, 0, bytesRead, at);
    }
  } finally {
    await source.close();
    await target.close();
  }
}

/** Writes a byte with one bit flipped. */
export async function flipBit(file: string, offset: number): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    const byte = Buffer.alloc(1);
    await handle.read(byte, 0, 1, offset);
    byte[0]! ^= 1;
    await handle.write(byte, 0, 1, offset);
  } finally {
    await handle.close();
  }
}

/** Why the kernel cannot mount a file here, or undefined. On CI (CI=true) nothing is skipped: there it throws. */
export function whyNoMount(): string | undefined {
  const why = process.getuid?.() === 0 ? undefined : 'a loop mount needs root';
  if (why && process.env['CI'] === 'true') throw new Error(`${why}, and CI=true allows no skipped tests`);
  return why;
}

/** Mounts a file system in a file on `folder` while `work` runs. */
export async function withMount<T>(file: string, folder: string, options: string, work: () => Promise<T>): Promise<T> {
  await mkdir(folder, { recursive: true });
  await runProgram('mount', ['-t', 'ext4', '-o', `loop,${options}`, file, folder]);
  try {
    return await work();
  } finally {
    await runProgram('umount', [folder]);
  }
}

/** Throws what e2fsck has to complain of; `-n` answers every question with no. */
export async function checkFilesystem(file: string): Promise<void> {
  const { code, stdout } = await runProgram('e2fsck', ['-f', '-n', file], { accept: [0, 4, 8, 12] });
  const words = stdout.toString().split('\n').filter((line) => line && !/^Pass [1-5]: |non-contiguous/.test(line)); // prettier-ignore
  if (code !== 0 || words.length > 0) throw new Error(`e2fsck ended with ${code}:\n${stdout.toString()}`);
}
