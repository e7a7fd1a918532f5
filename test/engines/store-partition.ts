import { mkdir, open, readFile } from 'node:fs/promises';
import type { Preload } from '@boxship/engines';
import { planExt4, writeExt4 } from '@boxship/filesystem';
import { fileWriter, openCache, runProgram } from '@boxship/host';
import { openImageLayer } from '@boxship/image-layers';
import type { ContainerImage, TreeEntry } from '@boxship/model';
import { blobPath, fetchImage, openLocalImages } from '@boxship/oci';
import type { SampleImage } from '../fixtures/images/build.mjs';

export const EPOCH = 1_700_000_000;

/** The image of an OCI layout, read as `boxship lock` and `compose` do. */
export async function openSample(sample: SampleImage, reference: string, cacheFolder: string): Promise<ContainerImage> {
  const cache = openCache(cacheFolder);
  await using source = await openLocalImages(`oci:${sample.folder}:${sample.name}`, { folder: sample.folder, cache });
  const fetched = await fetchImage(source, reference, { os: 'linux', architecture: 'amd64' }, cache);
  const { index, manifestOrigin, layers, ...rest } = fetched;
  return {
    ...rest,
    ...(index ? { index, indexBytes: await readFile(blobPath(cache, index)) } : {}),
    ...(manifestOrigin === 'synthesized' ? { manifestSynthesized: true } : {}),
    layers: await Promise.all(
      layers.map(({ blob, diffId, path }) => openImageLayer({ blob, diffId, blobPath: path }, cache)),
    ),
  };
}

/** Writes what an engine wants into the ext4 file system of a file, as `boxship compose` does with a partition. */
export async function writeStorePartition(
  file: string,
  { state, layers }: Pick<Preload, 'state' | 'layers'>,
): Promise<void> {
  const root: TreeEntry = { path: '', type: 'directory', mode: 0o755, uid: 0, gid: 0, mtime: EPOCH, mtimeNanoseconds: 0, size: 0 }; // prettier-ignore
  const tree = {
    *entries() {
      yield root;
      yield* state.entries();
      yield* layers.entries();
    },
  };
  const plan = planExt4(tree, {
    uuid: '6b8f2d5e-1f0a-4c55-9d5e-0a1b2c3d4e5f',
    hashSeed: '11112222-3333-4444-5555-666677778888',
    label: 'boxship-store',
    epoch: EPOCH,
    size: { exact: 128 * 1024 * 1024 },
  });
  const handle = await open(file, 'w');
  try {
    await writeExt4(plan, fileWriter(handle));
  } finally {
    await handle.close();
  }
}

/** The same with the folders above the first one of `state`. */
export function withParents({ state, ...rest }: Preload): Preload {
  return {
    ...rest,
    state: {
      *entries() {
        const [first] = state.entries();
        const parts = first!.path.split('/').slice(0, -1);
        for (const [at] of parts.entries()) yield { ...first!, path: parts.slice(0, at + 1).join('/') };
        yield* state.entries();
      },
    },
  };
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

/** Engines take the time of what no tar entry gives (whiteouts, implied folders) from the clock; here it is EPOCH. */
const RECENT = 1_750_000_000;

/**
 * Type, mode, owner, time, size, links and extended attributes of everything below `folder`, a line each, sorted: two
 * folders with equal lines are one to a container.
 */
export async function listFolder(folder: string): Promise<readonly string[]> {
  const { stdout } = await runProgram('find', [
    folder,
    ...['-mindepth', '1', '-printf', '%P\\t%y %m %U:%G %n %T@ %l\\0'],
  ]);
  const names = stdout
    .toString('latin1')
    .split('\0')
    .filter(Boolean)
    .map((line) => line.replace(/\b(\d{10})\.\d{10}/, (time, seconds) => (Number(seconds) > RECENT ? `${EPOCH}.0000000000` : time))); // prettier-ignore
  const { stdout: xattrs } = await runProgram('getfattr', ['-R', '-h', '-d', '-m', '-', '-e', 'hex', '.'], { cwd: folder }); // prettier-ignore
  const blocks = xattrs.toString('latin1').split('\n\n').filter(Boolean);
  return [...names, ...blocks].sort();
}

/** Bytes of every regular file below `folder`, hashed. */
export async function hashFolder(folder: string): Promise<readonly string[]> {
  const { stdout } = await runProgram('sh', ['-c', 'find . -type f -print0 | xargs -0 sha256sum -z'], { cwd: folder });
  return stdout.toString('latin1').split('\0').filter(Boolean).sort();
}
