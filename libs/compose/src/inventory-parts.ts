import type { RootfsReader } from '@boxship/filesystem';
import type { Cache } from '@boxship/host';
import { MiB, digestHex, type BytePath, type ContainerImage, type ImageLayer, type Variant } from '@boxship/model';
import {
  concernsPackages,
  imageUrl,
  isPackageFile,
  isUnreadDatabase,
  isWhiteout,
  mergePackages,
  packageFiles,
  packageFolders,
  readPackages,
  whiteoutOf,
  type InstalledSoftware,
  type InventoryPart,
  type LayerPackageFiles,
} from '@boxship/sbom';

/** Cache kind of what a layer does to package databases. */
const PACKAGES_KIND = 'packages-v1';
/** No package database is larger; what is, is not read. */
const LARGEST_DATABASE = 64 * MiB;

/** The base image and the container images of a variant, with the packages of each. Reads those layers that hold databases. */
export async function partsOf(
  variant: Variant,
  images: readonly ContainerImage[],
  rootfs: RootfsReader,
  cache: Cache,
): Promise<readonly InventoryPart[]> {
  const software = new Map<string, InstalledSoftware>();
  for (const { reference, layers } of images) {
    const read: LayerPackageFiles[] = [];
    for (const layer of layers) read.push(await layerPackages(layer, cache));
    software.set(reference, mergePackages(read));
  }
  return inputParts(variant, await rootfsPackages(rootfs), software);
}

/** The same as far as the variant itself says it. */
export function inputParts(
  { base, images, machine }: Variant,
  baseSoftware?: InstalledSoftware,
  software: ReadonlyMap<string, InstalledSoftware> = new Map(),
): readonly InventoryPart[] {
  const found = (one: InstalledSoftware | undefined) => (one ? { software: one } : {});
  return [
    ...(base
      ? [{ kind: 'base' as const, name: `base-image-of-${machine.name}`, digest: base.digest, ...found(baseSoftware) }]
      : []),
    ...images.map(({ reference, manifest, platform }): InventoryPart => {
      const [, tag] = /:([^:/@]+)(?:@.*)?$/.exec(reference) ?? [];
      return {
        kind: 'container',
        name: reference,
        ...(tag === undefined ? {} : { version: tag }),
        digest: manifest.digest,
        purl: imageUrl(reference, manifest.digest, platform.split('/')[1] ?? ''),
        ...found(software.get(reference)),
      };
    }),
  ];
}

/** What was kept of a layer: bytes as base64, `null` for what was not read. */
interface KeptLayer {
  readonly files: readonly (readonly [BytePath, string | null])[];
  readonly whiteouts: readonly BytePath[];
}

async function layerPackages(layer: ImageLayer, cache: Cache): Promise<LayerPackageFiles> {
  const key = digestHex(layer.diffId);
  const kept = (await cache.recall(PACKAGES_KIND, key)) as KeptLayer | undefined;
  if (Array.isArray(kept?.files) && Array.isArray(kept.whiteouts)) {
    const files = kept.files.map(([path, text]) => [path, text === null ? undefined : Buffer.from(text, 'base64')] as const); // prettier-ignore
    return { files: new Map(files), whiteouts: kept.whiteouts };
  }
  const found = await readLayerPackages(layer);
  const files = [...found.files].map(([path, bytes]) => [path, bytes ? Buffer.from(bytes).toString('base64') : null] as const); // prettier-ignore
  await cache.remember(PACKAGES_KIND, key, { files, whiteouts: found.whiteouts } satisfies KeptLayer);
  return found;
}

/**
 * Reads the tar of a layer that holds databases; to its end, because only then the digest of the blob is known to be right, and
 * what is found is kept. Nothing is read of a layer without any.
 */
async function readLayerPackages({ inventory, content }: ImageLayer): Promise<LayerPackageFiles> {
  const files = new Map<BytePath, Uint8Array | undefined>();
  const whiteouts: BytePath[] = [];
  const wanted: { readonly path: BytePath; readonly offset: number; readonly bytes: Buffer }[] = [];
  for (const { path, type, size, content: where } of inventory.entries()) {
    if (!concernsPackages(path)) continue;
    if (isWhiteout(path)) whiteouts.push(path);
    else if (type === 'symlink')
      whiteouts.push(whiteoutOf(path)); // it leads to a file of another name, and hides this one
    else if (type === 'file' && size === 0) files.set(path, new Uint8Array());
    else if (type === 'file' && !isUnreadDatabase(path) && where && 'offset' in where && size <= LARGEST_DATABASE) {
      wanted.push({ path, offset: where.offset, bytes: Buffer.alloc(size) });
    } else files.set(path, undefined);
  }
  let at = 0;
  if (wanted.length > 0) {
    for await (const chunk of content.open()) {
      for (const { offset, bytes } of wanted) {
        const from = Math.max(offset, at);
        const to = Math.min(offset + bytes.length, at + chunk.length);
        if (from < to) bytes.set(chunk.subarray(from - at, to - at), from - offset);
      }
      at += chunk.length;
    }
  }
  for (const { path, bytes } of wanted) files.set(path, bytes);
  return { files, whiteouts };
}

async function rootfsPackages(rootfs: RootfsReader): Promise<InstalledSoftware> {
  const files = new Map<BytePath, Uint8Array>();
  const unread: BytePath[] = [];
  const below = await Promise.all(
    packageFolders.map(async (folder) => (await rootfs.readDirectory(folder)).map(({ name }) => folder + name)),
  );
  for (const path of [...packageFiles, ...below.flat()]) {
    const info = await rootfs.stat(path);
    if (info?.type !== 'file') continue;
    if (isUnreadDatabase(path) || info.size > LARGEST_DATABASE) unread.push(path);
    else if (isPackageFile(path)) files.set(path, await rootfs.readFile(path, LARGEST_DATABASE));
  }
  return readPackages(files, unread);
}
