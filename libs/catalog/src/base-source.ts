import { stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { silent, type Cache, type Progress } from '@boxship/host';
import { UserError, type FileIdentity } from '@boxship/model';
import {
  blobPath,
  fetchArtifact,
  fileDownloads,
  openLocalImages,
  parsePlatform,
  parseReference,
  type FileDownloads,
  type ImageSource,
} from '@boxship/oci';
import { assembleBase } from './assembled-base.ts';
import { pickFromFolder } from './base-folder.ts';
import { DOWNLOAD_KIND, downloadBase } from './download-base.ts';
import type { BaseSource, Machine, Product } from './product.ts';

/** A machine whose base image is built. */
type BasedMachine = Machine & { readonly base: BaseSource };

/** What a person wrote for the base of a machine: the lock records it. */
export function baseOrigin(base: BaseSource): string {
  if ('path' in base) return base.path;
  if ('rootfs' in base) return `${base.rootfs} in ${base.wks}`;
  return 'url' in base ? base.url : `oci:${base.oci}`;
}

/**
 * Where the base image of `machine` lies on this host: a file as it is, the one of a folder; what came from elsewhere, the
 * cache has since `lock`, and an assembled one is made anew when the cache has it no more. `locked` is what the lock says of it. Errors: those of `pickFromFolder`.
 */
export async function basePath(
  product: Product,
  { base, where }: Pick<BasedMachine, 'base' | 'where'>,
  cache: Cache,
  locked: FileIdentity,
): Promise<string> {
  if ('url' in base) return cache.path(DOWNLOAD_KIND, base.sha256);
  if ('oci' in base) return blobPath(cache, locked.digest);
  if ('rootfs' in base)
    return await assembleBase(product.file, base, { cache, progress: silent, ...(where ? { where } : {}) });
  const path = resolve(dirname(product.file), base.path);
  const info = await stat(path).catch(() => undefined); // one that is not there is told by whoever reads it
  return info?.isDirectory() ? await pickFromFolder(path, where) : path;
}

export interface BringBaseOptions {
  readonly cache: Cache;
  readonly progress: Progress;
  readonly registry: (reference: string) => Promise<ImageSource>;
  /** Default: as this machine's environment says. */
  readonly downloads?: FileDownloads;
  /** What an earlier lock says: an artifact of a registry stays that, wherever its tag points today. */
  readonly earlier?: FileIdentity;
  readonly signal?: AbortSignal;
}

/** Brings the base image of `machine` onto this host; returns its path. Errors: those of each kind of source, with the line. */
export async function bringBase(product: Product, machine: BasedMachine, options: BringBaseOptions): Promise<string> {
  const { base, where } = machine;
  const { cache, progress } = options;
  const signal = options.signal ? { signal: options.signal } : {};
  if ('url' in base) {
    await using own = options.downloads ? undefined : fileDownloads();
    const downloads = options.downloads ?? own!;
    return await downloadBase(base, { cache, progress, downloads, ...signal }, where);
  }
  if ('oci' in base) {
    try {
      return await bringArtifact(product, machine, base.oci, options);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      throw new UserError(error.problems.map((problem) => ({ ...problem, where: problem.where ?? where })));
    }
  }
  if ('rootfs' in base) return await assembleBase(product.file, base, { cache, progress, where });
  const path = await basePath(product, machine, cache, { digest: 'sha256:', size: 0 }); // a path needs no digest
  if (path !== resolve(dirname(product.file), base.path)) progress.note(`${machine.name}: the base image is ${path}`);
  return path;
}

async function bringArtifact(
  product: Product,
  { platform }: Machine,
  text: string,
  { cache, progress, registry, earlier, signal }: BringBaseOptions,
): Promise<string> {
  const options = { platform: parsePlatform(platform), progress, ...(signal ? { signal } : {}) };
  if (!isRegistryReference(text)) {
    await using source = await openLocalImages(`oci:${text}`, { folder: dirname(product.file), cache });
    // without a name in the text, the layout's only artifact, or the one that is tagged latest
    return (await fetchArtifact(source, parseReference('base'), cache, options)).path;
  }
  await using source = await registry(text);
  const pinned = earlier ? { pinned: { mediaType: 'application/octet-stream', ...earlier } } : {};
  return (await fetchArtifact(source, parseReference(text), cache, { ...options, ...pinned })).path;
}

/** As docker tells a registry from a folder of Docker Hub: its first part is a host. `./` and `../` begin a path. */
export function isRegistryReference(text: string): boolean {
  const [first = '', ...rest] = text.split('/');
  if (rest.length === 0 || first === '.' || first === '..' || first === '') return false;
  return /[.:]/.test(first) || first === 'localhost';
}
