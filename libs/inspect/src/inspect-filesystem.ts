import { openExt4, probeFilesystem } from '@boxship/filesystem';
import type { Problem, RandomReader } from '@boxship/model';
import type { InspectedFilesystem } from './inspection.ts';
import { inspectStore } from './inspect-store.ts';
import { inspectSystem } from './inspect-system.ts';
import { attempt } from './problems.ts';

/** The file system in some bytes, and what lies in it as far as we can read it. Faults of it go to `problems`. */
export async function inspectFilesystem(
  content: RandomReader,
  publicKeyPem: string | undefined,
  problems: Problem[],
): Promise<InspectedFilesystem> {
  const kind = await attempt(problems, () => probeFilesystem(content));
  if (kind !== 'ext4') return { kind: kind ?? 'unknown' };
  const files = await attempt(problems, () => openExt4(content));
  if (!files) return { kind };
  const { label, uuid, blockSize, blockCount, freeBlocks } = files.superblock;
  const store = await attempt(problems, () => inspectStore(files, publicKeyPem));
  const isDone = store !== undefined || problems.length > 0; // a damaged one would say the same once more
  const system = isDone ? undefined : await attempt(problems, () => inspectSystem(files));
  return {
    kind,
    ...(label ? { label } : {}),
    uuid,
    size: blockCount * blockSize,
    free: freeBlocks * blockSize,
    ...(system ? { system } : {}),
    ...(store ? { store } : {}),
  };
}
