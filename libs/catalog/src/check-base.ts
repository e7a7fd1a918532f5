import { createHash } from 'node:crypto';
import type { Cache, Progress } from '@boxship/host';
import { baseImageFormats, type BaseImage, type BaseImageFormat } from '@boxship/formats';
import { UserError, type FileIdentity, type Location } from '@boxship/model';

export interface CheckBaseOptions {
  readonly cache: Cache;
  readonly progress: Progress;
  readonly where?: Location;
}

/**
 * Opens the base image at `path`, which unpacks a compressed one into the cache, and checks its content against the block
 * map that the vendor gave beside it: read once for each pair of image and map. A file of no known format is told by
 * `plan`. Errors: those of the format, BMAP_MISMATCH and others of a block map.
 */
export async function checkBase(path: string, identity: FileIdentity, options: CheckBaseOptions): Promise<void> {
  const format = await formatOf(path);
  if (!format) return;
  const { cache, progress, where } = options;
  try {
    await using image = await format.read(path, { cache, progress, digestOf: () => Promise.resolve(identity.digest) });
    const maps = image.devices.map(({ bmap }) => bmap);
    if (maps.every((bmap) => bmap === undefined)) return;
    const key = createHash('sha256')
      .update(JSON.stringify([identity.digest, maps]))
      .digest('hex');
    if ((await cache.recall('base-verified', key)) === true) return;
    await verify(image, path, progress);
    await cache.remember('base-verified', key, true);
  } catch (error) {
    if (!(error instanceof UserError) || !where) throw error;
    throw new UserError(error.problems.map((problem) => (problem.where ? problem : { ...problem, where })));
  }
}

async function verify(image: BaseImage, path: string, progress: Progress): Promise<void> {
  const step = progress.start(`checking ${path} against its block map`);
  try {
    await image.verify((bytes) => step.advance(bytes));
  } finally {
    step.end();
  }
}

async function formatOf(path: string): Promise<BaseImageFormat | undefined> {
  for (const format of Object.values(baseImageFormats)) if (await format.probe(path)) return format;
  return undefined;
}
