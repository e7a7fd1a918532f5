import { dirname } from 'node:path';
import { takeInventory } from '@boxship/image-layers';
import type { Cache, Progress } from '@boxship/host';
import { UserError, type LockedImage } from '@boxship/model';
import {
  BLOB_KIND,
  fetchImage,
  openLocalImages,
  parseImageConfig,
  parsePlatform,
  parseReference,
  type FetchedImage,
  type FileDownloads,
  type ImageSource,
  type PinnedImage,
} from '@boxship/oci';
import { fileIdentity } from './base-identity.ts';
import { baseOrigin, bringBase } from './base-source.ts';
import { checkBase } from './check-base.ts';
import { removeDamagedBlob } from './damaged-blob.ts';
import { DOWNLOAD_KIND } from './download-base.ts';
import type { Lock, LockedBase } from './lock-file.ts';
import type { Product } from './product.ts';
import type { ProductApps } from './read-apps.ts';
import { wantedImages, type WantedImage } from './resolve-variants.ts';
import { refuseOtherPlatforms } from './service-platforms.ts';
import { pickVersions } from './tool-versions.ts';

export interface LockOptions {
  readonly cache: Cache;
  readonly progress: Progress;
  /** The source of images that come from their registry. */
  readonly registry: (reference: string) => Promise<ImageSource>;
  /** Base images that have a URL come through this; by default as this machine's environment says. */
  readonly downloads?: FileDownloads;
  /** Images from registries stay those of this lock, wherever their tags point today. */
  readonly earlier?: Lock;
  readonly signal?: AbortSignal;
}

/**
 * Resolves every image of the product to digests, brings all of it into the cache, takes the inventory of each layer, and
 * records the base images. Afterwards nothing needs the network. The only step that does.
 */
export async function createLock(product: Product, apps: ProductApps, options: LockOptions): Promise<Lock> {
  const { cache, progress } = options;
  refuseOtherPlatforms(product, apps);
  await cache.sweep([BLOB_KIND, DOWNLOAD_KIND]);
  const tools = await pickVersions(product); // a program that is missing is told before hours of downloading
  const bases: Record<string, LockedBase> = {};
  for (const machine of product.machines) {
    const { where, base } = machine;
    if (!base) continue; // not built yet
    const earlier = options.earlier?.bases[machine.name];
    const { earlier: _lock, ...rest } = options;
    const path = await bringBase(product, { ...machine, base }, { ...rest, ...(earlier ? { earlier } : {}) });
    const identity = await fileIdentity(path, cache, progress, { where });
    await checkBase(path, identity, { cache, progress, where }); // and unpacked: afterwards the cache may be read-only
    bases[machine.name] = { from: baseOrigin(base), digest: identity.digest, size: identity.size };
  }

  const wanted = wantedImages(product, apps);
  const images: LockedImage[] = [];
  let epoch = 0;
  for (const image of wanted) {
    const fetched = await bringIn(product, image, options);
    epoch = Math.max(epoch, createdAt(fetched));
    images.push(lockedImage(image, fetched));
  }
  return {
    lockVersion: 1,
    product: product.name,
    epoch,
    bases,
    apps: Object.fromEntries(
      [...apps].map(
        ([
          name,
          {
            product: { compose },
            digest,
            images: used,
          },
        ]) => [name, { compose, digest, images: used.map(({ reference }) => reference).sort() }],
      ),
    ),
    origins: Object.fromEntries(wanted.map(({ reference, origin }) => [reference, origin])),
    images,
    tools,
  };
}

/** Fetches the image and reads its layers; a blob that was damaged in the cache is fetched anew, once. */
async function bringIn(product: Product, image: WantedImage, options: LockOptions): Promise<FetchedImage> {
  for (let attempt = 1; ; attempt++) {
    const fetched = await fetchWanted(product, image, options);
    try {
      await takeInventories(fetched, options.cache, options.progress, options.signal);
      return fetched;
    } catch (error) {
      const damaged = await removeDamagedBlob(error, options.cache);
      if (!damaged) throw inImage(error, image);
      if (attempt === 2) throw damaged;
    }
  }
}

/** The error, with the image and the service that wants it. */
function inImage(error: unknown, { reference, where }: WantedImage): unknown {
  if (!(error instanceof UserError)) return error;
  return new UserError(
    error.problems.map((problem) => ({
      ...problem,
      message: problem.message.includes(reference) ? problem.message : `${reference}: ${problem.message}`,
      hint: problem.hint ?? 'The image cannot be unpacked as it is: build it again.',
      ...(problem.where || !where ? {} : { where }),
    })),
  );
}

async function fetchWanted(product: Product, image: WantedImage, options: LockOptions): Promise<FetchedImage> {
  const { cache, progress, signal } = options;
  try {
    await using source =
      image.origin === 'registry'
        ? await options.registry(image.reference)
        : await openLocalImages(image.origin, { folder: dirname(product.file), cache });
    return await fetchImage(source, parseReference(image.reference), parsePlatform(image.platform), cache, {
      progress,
      ...pinOf(image, options.earlier),
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const { where, machine } = image; // the service that wants it, and the machine that is to run it
    const told = error.problems.map((problem) => (problem.code === 'PLATFORM_MISSING' ? { ...problem, also: [machine] } : problem)); // prettier-ignore
    throw new UserError(told.map((problem) => (problem.where || !where ? problem : { ...problem, where })));
  }
}

/** What the earlier lock says. Local images are taken as they are: whoever asks for the same lock compares. */
function pinOf({ reference, platform, origin }: WantedImage, earlier: Lock | undefined): { pinned?: PinnedImage } {
  const locked =
    origin === 'registry' &&
    earlier?.images.find((image) => image.reference === reference && image.platform === platform);
  if (!locked || locked.manifestSynthesized) return {};
  const { index, manifest } = locked;
  return { pinned: { ...(index ? { index } : {}), manifest: manifest.digest } };
}

async function takeInventories(
  image: FetchedImage,
  cache: Cache,
  progress: Progress,
  signal?: AbortSignal,
): Promise<void> {
  for (const { blob, diffId, path } of image.layers) {
    const step = progress.start(`reading ${image.reference} ${blob.digest.slice(0, 19)}`);
    const onProgress = (bytes: number) => step.advance(bytes);
    try {
      await takeInventory({ blob, diffId, blobPath: path }, cache, { onProgress, ...(signal ? { signal } : {}) });
    } finally {
      step.end();
    }
  }
}

/** Seconds since 1970; 0 when the configuration does not say (image-spec config.md "created"). */
function createdAt({ configBytes, layers, reference }: FetchedImage): number {
  const { created } = parseImageConfig(configBytes, layers.length, `the configuration of ${reference}`);
  const time = created === undefined ? 0 : Math.floor(Date.parse(created) / 1000);
  return Number.isFinite(time) && time > 0 ? time : 0;
}

function lockedImage({ reference, platform }: WantedImage, image: FetchedImage): LockedImage {
  return {
    reference,
    platform,
    ...(image.index ? { index: image.index } : {}),
    manifest: plain(image.manifest),
    ...(image.manifestOrigin === 'synthesized' ? { manifestSynthesized: true } : {}),
    config: plain(image.config),
    layers: image.layers.map(({ blob, diffId }) => ({ blob: plain(blob), diffId })),
  };
}

function plain<T extends { mediaType: string; size: number; digest: string }>({ mediaType, digest, size }: T) {
  return { mediaType, digest, size } as Pick<T, 'mediaType' | 'digest' | 'size'>;
}
