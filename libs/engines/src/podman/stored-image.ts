import { digestHex, type ContainerImage, type Digest } from '@boxship/model';

/** An image as containers-storage keeps it: one for each configuration, whatever names and manifests it came with. */
export interface StoredImage {
  /** Hex of the configuration's digest. */
  readonly id: string;
  /** Of the manifest. */
  readonly digest: Digest;
  readonly names: readonly string[];
  /** Id of its topmost layer, when it has any. */
  readonly topLayer?: string;
  /** When it was built, RFC 3339. */
  readonly created: string;
  /** Its documents by their keys; containers/image storage/storage_reference.go looks for digests in `manifest-…`. */
  readonly bigData: ReadonlyMap<string, Uint8Array>;
}

export function storedImages(
  images: readonly ContainerImage[],
  topLayerOf: (image: ContainerImage) => string | undefined,
): readonly StoredImage[] {
  const byConfig = new Map<Digest, ContainerImage[]>();
  for (const image of images) byConfig.set(image.config.digest, [...(byConfig.get(image.config.digest) ?? []), image]);
  return [...byConfig.values()].map((same) => storedImage(same, topLayerOf(same[0]!)));
}

function storedImage(same: readonly ContainerImage[], topLayer: string | undefined): StoredImage {
  const first = same[0]!;
  const bigData = new Map<string, Uint8Array>([[first.config.digest, first.configBytes]]);
  for (const { manifest, manifestBytes, index, indexBytes } of same) {
    // an image is found by the digest of the index too, when that is what was pulled
    if (index && indexBytes) bigData.set(`manifest-${index}`, indexBytes);
    bigData.set(`manifest-${manifest.digest}`, manifestBytes);
  }
  bigData.set('manifest', first.manifestBytes);
  return {
    id: digestHex(first.config.digest),
    digest: first.manifest.digest,
    names: [...new Set(same.map(({ reference }) => reference))],
    ...(topLayer === undefined ? {} : { topLayer }),
    created: createdAt(first),
    bigData,
  };
}

/** What the configuration says (image-spec config.md "created"), else the time that Go writes for none. */
function createdAt({ configBytes }: ContainerImage): string {
  const { created } = JSON.parse(Buffer.from(configBytes).toString()) as { created?: unknown };
  return typeof created === 'string' && Number.isFinite(Date.parse(created)) ? created : '0001-01-01T00:00:00Z';
}
