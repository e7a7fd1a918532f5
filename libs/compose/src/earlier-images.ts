import { createHash } from 'node:crypto';
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isSparseImage } from '@boxship/formats';
import type { Cache } from '@boxship/host';
import { copyInThread, type EarlierCopy } from '@boxship/image-layers';
import type { ContentSource, ScatterTarget } from '@boxship/model';
import { scatterAsItIs, type Scatter } from './content-pump.ts';
import { RELEASE_FILE, type Release } from './release.ts';

/**
 * Takes the bytes of large layers from images below `out` that hold them already, of whatever variant and version: copying
 * costs less than inflating. Nothing depends on what these images are: what is copied is digested, and is used when it has the
 * digest that was remembered when the layer was last inflated from its verified blob. All else is inflated.
 */
export async function scatterFromEarlier(out: string, cache: Cache): Promise<Scatter> {
  const copies = await earlierCopies(out);
  return async (source, targets, options) => {
    const key = contentKey(source, targets);
    if (key === undefined) return await scatterAsItIs(source, targets, options);
    const laidOut = targets.every(({ pieces: { run } }) => run?.sequence === source.laidOut?.sequence);
    const content = laidOut ? source.laidOut?.sha256 : undefined;
    const known = content ?? (await cache.recall(CONTENT_KIND, key));
    const copy = typeof known === 'string' ? copies.get(`store/${source.id} ${known}`) : undefined;
    if (copy && (await copyInThread(copy, targets, options))) {
      options.onBytes(source.size);
      return;
    }
    if (content !== undefined) {
      await scatterAsItIs(
        source,
        targets.map((target) => ({ ...target, content })),
        options,
      );
      return;
    }
    let digest: string | undefined;
    const watched = targets.map((target): ScatterTarget => ({
      ...target,
      onContent(sha256) {
        digest = sha256;
        target.onContent?.(sha256);
      },
    }));
    await scatterAsItIs(source, watched, options);
    if (digest !== undefined && digest !== known) await cache.remember(CONTENT_KIND, key, digest);
  };
}

/** In the cache: SHA-256 (hex) of the blocks that a layer makes of a file system. */
const CONTENT_KIND = 'content';

/** What determines the bytes that the targets get, when it is the same for all of them. */
function contentKey({ id }: ContentSource, targets: readonly ScatterTarget[]): string | undefined {
  const [first, ...others] = targets.map(({ pieces }) => pieces.run?.sequence);
  if (first === undefined || others.some((sequence) => sequence !== first)) return undefined;
  return createHash('sha256').update(`${id} ${first}`).digest('hex');
}

/** What release.json of each folder says of the layers in its files, by name and digest of the part. */
async function earlierCopies(out: string): Promise<ReadonlyMap<string, EarlierCopy>> {
  const copies = new Map<string, EarlierCopy>();
  for (const product of await foldersIn(out)) {
    for (const folder of await foldersIn(product)) {
      // one that cannot be read, or is no release, only saves no time
      for (const [key, copy] of await copiesIn(folder).catch(() => [])) copies.set(key, copy);
    }
  }
  return copies;
}

async function foldersIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => join(folder, name));
}

async function copiesIn(folder: string): Promise<readonly (readonly [key: string, copy: EarlierCopy])[]> {
  const { files } = JSON.parse(await readFile(join(folder, RELEASE_FILE), 'utf8')) as Release;
  const copies: [string, EarlierCopy][] = [];
  for (const { name, size, unpacked, payload } of files) {
    // a compressed one is no quicker to read than the layer, a sparse one has its bytes elsewhere
    if (unpacked || !payload || isSparseImage(name)) continue;
    const path = join(folder, name);
    const info = await stat(path);
    if (!info.isFile() || info.size !== size) continue;
    for (const part of payload.parts) {
      if (part.file !== undefined) continue; // in an update
      const sha256 = part.digest.slice('sha256:'.length);
      const ranges = part.ranges.map(({ start, end }) => ({ start, end }));
      copies.push([`${part.name} ${sha256}`, { path, ranges, sha256 }]);
    }
  }
  return copies;
}
