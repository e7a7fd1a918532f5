import { createHash } from 'node:crypto';
import { UserError, type ContainerImage, type Digest, type ImageLayer } from '@boxship/model';

/** One layer on top of its parents: what an engine keeps once, whatever images use it. */
export interface ChainedLayer {
  /** OCI image-spec config.md "Layer ChainID". */
  readonly chainId: Digest;
  readonly parent?: ChainedLayer;
  readonly layer: ImageLayer;
}

/** An engine, and how many layers it puts on top of each other. */
export interface LayerLimit {
  /** As in "docker's overlay2". */
  readonly engine: string;
  readonly layers: number;
}

/** The chain of an image's layers, bottom first. Errors: TOO_MANY_LAYERS. */
export function chainLayers(image: ContainerImage, limit: LayerLimit): readonly ChainedLayer[] {
  if (image.layers.length > limit.layers) {
    throw new UserError(
      'TOO_MANY_LAYERS',
      `${image.reference} has ${image.layers.length} layers; ${limit.engine} takes ${limit.layers}`,
      'Build it with fewer layers, or squash it.',
    );
  }
  const chain: ChainedLayer[] = [];
  for (const layer of image.layers) {
    const parent = chain.at(-1);
    const chainId = parent ? sha256(`${parent.chainId} ${layer.diffId}`) : layer.diffId;
    chain.push({ chainId, ...(parent ? { parent } : {}), layer });
  }
  return chain;
}

/** The layers of several chains, each once, a parent before its children. */
export function uniqueLayers(chains: Iterable<readonly ChainedLayer[]>): readonly ChainedLayer[] {
  const layers = new Map<Digest, ChainedLayer>();
  for (const chain of chains) {
    for (const layer of chain) if (!layers.has(layer.chainId)) layers.set(layer.chainId, layer);
  }
  return [...layers.values()];
}

export function sha256(text: string | Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

/**
 * A name of 26 characters of A-Z2-7 in the folder `l` of an overlay store, because mount options are limited to one page.
 * docker and containers-storage take random ones; this one follows from `seed`, so that a store is deterministic.
 */
export function linkName(seed: string): string {
  return base32(createHash('sha256').update(seed).digest()).slice(0, 26);
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
