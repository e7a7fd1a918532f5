import { UserError } from '@boxship/model';

export type LayerCompression = 'none' | 'gzip' | 'zstd';

/** RFC 1952 2.3.1 (ID1 ID2, CM 8) and RFC 8878 3.1.1; a skippable frame (3.1.2) may come first in zstd. */
export function sniffCompression(head: Uint8Array): LayerCompression {
  if (head[0] === 0x1f && head[1] === 0x8b && head[2] === 8) return 'gzip';
  if (head[1] === 0xb5 && head[2] === 0x2f && head[3] === 0xfd && head[0] === 0x28) return 'zstd';
  if (head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18 && (head[0]! & 0xf0) === 0x50) return 'zstd';
  return 'none';
}

/** Layer types of OCI image-spec layer.md and of docker's image manifest v2 schema 2; `undefined` for others. */
export function declaredCompression(mediaType: string): LayerCompression | undefined {
  const match =
    /^application\/vnd\.oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?:\+(gzip|zstd))?$/.exec(mediaType) ??
    /^application\/vnd\.docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:\.(gzip|zstd))?$/.exec(mediaType);
  return match ? ((match[1] as 'gzip' | 'zstd' | undefined) ?? 'none') : undefined;
}

/**
 * How a layer is compressed: the first bytes decide, as in every engine. A type that says "tar" for compressed bytes, or the
 * other way round, is about and harmless (the diff_id proves what comes out); gzip for zstd is not: engines differ there.
 * Errors: UNSUPPORTED_LAYER for other types (encrypted layers, artifacts), COMPRESSION_MISMATCH.
 */
export function layerCompression(mediaType: string, head: Uint8Array, name: string): LayerCompression {
  const declared = declaredCompression(mediaType);
  if (declared === undefined) {
    throw new UserError(
      'UNSUPPORTED_LAYER',
      `${name} has the media type "${mediaType}", which is no tar layer`,
      'Layers can be tar, tar+gzip or tar+zstd; decrypt or rebuild the image.',
    );
  }
  const found = sniffCompression(head);
  if (found !== declared && found !== 'none' && declared !== 'none') {
    throw new UserError(
      'COMPRESSION_MISMATCH',
      `${name} is declared as ${declared} ("${mediaType}") but its bytes are ${found}`,
      'The manifest is wrong; push the image again with a current builder.',
    );
  }
  return found;
}
