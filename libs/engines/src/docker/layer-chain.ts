import { createHash } from 'node:crypto';
import { UserError, digestHex, type ContainerImage, type Digest, type ImageLayer } from '@boxship/model';

/** moby layer/layer_store.go `maxLayerDepth`. */
const MAX_LAYERS = 125;

/** One layer on top of its parents: what docker keeps once, whatever images use it. */
export interface ChainedLayer {
  /** OCI image-spec config.md "Layer ChainID". */
  readonly chainId: Digest;
  readonly parent?: ChainedLayer;
  readonly layer: ImageLayer;
  /** Name of its folder in `overlay2/`; any unique 64 hex digits. Derived from the chain id, so that a store is deterministic. */
  readonly cacheId: string;
  /** Short name in `overlay2/l/` (26 of A-Z2-7), because mount options are limited to one page. */
  readonly shortName: string;
}

/** The chain of an image's layers, bottom first. */
export function chainLayers(image: ContainerImage): readonly ChainedLayer[] {
  if (image.layers.length > MAX_LAYERS) {
    throw new UserError(
      'TOO_MANY_LAYERS',
      `${image.reference} has ${image.layers.length} layers; docker's overlay2 takes ${MAX_LAYERS}`,
      'Build it with fewer layers, or squash it.',
    );
  }
  const chain: ChainedLayer[] = [];
  for (const layer of image.layers) {
    const parent = chain.at(-1);
    const chainId = parent ? sha256(`${parent.chainId} ${layer.diffId}`) : layer.diffId;
    chain.push({
      chainId,
      ...(parent ? { parent } : {}),
      layer,
      cacheId: digestHex(sha256(`boxship overlay2 ${chainId}`)),
      shortName: base32(createHash('sha256').update(`boxship overlay2/l ${chainId}`).digest()).slice(0, 26),
    });
  }
  return chain;
}

function sha256(text: string): Digest {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

/** RFC 4648 section 6, without padding. */
function base32(bytes: Uint8Array): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += alphabet[(value >>> (bits - 5)) & 31];
    value &= (1 << bits) - 1;
  }
  return text;
}
