import { createHash } from 'node:crypto';
import {
  bytesSource,
  type ContainerImage,
  type Digest,
  type ImageLayer,
  type LayerInventory,
  type TreeEntry,
} from '@boxship/model';

export const sha256 = (text: string): Digest => `sha256:${createHash('sha256').update(text).digest('hex')}`;

/** For tests: a layer without entries. */
export function layer(name: string): ImageLayer {
  const inventory: LayerInventory = {
    entries: () => [],
    entryCount: 0,
    deviceCount: 0,
    fileBytes: 12,
    hasDuplicates: false,
    tarSplit: bytesSource(`tar-split ${name}`, Buffer.from('x')),
  };
  const blob = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: sha256(`blob ${name}`), size: 1 };
  return {
    blob,
    diffId: sha256(name),
    content: bytesSource(name, Buffer.alloc(0)),
    blobContent: bytesSource(blob.digest, Buffer.from('b')),
    inventory,
  };
}

/** For tests: an image of these layers. */
export function image(
  reference: string,
  layers: readonly ImageLayer[],
  rest: Partial<ContainerImage> = {},
): ContainerImage {
  const configBytes = Buffer.from(JSON.stringify({ comment: reference }));
  const manifestBytes = Buffer.from(`manifest of ${reference}`);
  return {
    reference,
    platform: { os: 'linux', architecture: 'amd64' },
    manifest: { mediaType: 'm', digest: sha256(String(manifestBytes)), size: manifestBytes.length },
    manifestBytes,
    config: { mediaType: 'c', digest: sha256(String(configBytes)), size: configBytes.length },
    configBytes,
    layers,
    ...rest,
  };
}

/** For tests: the text of a file of a tree. */
export async function textAt(entries: Iterable<TreeEntry>, path: string): Promise<string> {
  const found = [...entries].find((entry) => entry.path === path);
  const chunks: Uint8Array[] = [];
  if (found!.content) for await (const chunk of found!.content.source.open()) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
