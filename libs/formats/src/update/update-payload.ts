import { createHash } from 'node:crypto';
import { digestHex, type ArtifactOptions, type ByteRange, type Digest } from '@boxship/model';
import type { WrittenDiskImage } from '../disk-image-form.ts';
import { isStorePart, payloadOf, placed, type DigestedPart, type Payload } from '../payload.ts';
import { withoutRange } from '../raw-artifact.ts';
import { imageFileName, rolesOf } from './update-images.ts';

/** A text in an update that says what its images are and where they go. */
export interface UpdateDescription {
  /** Of its file in the update. */
  readonly file: string;
  readonly text: string | Uint8Array;
  /** What it says of images: these depend on the signing key, because a store is signed inside. */
  readonly digests: readonly Digest[];
}

/**
 * What an update carries, whoever signs it: its descriptions but for the digests of images in them, and the store but for its
 * signature. Of a rootfs the paths count that were changed, as for every artifact. Undefined when nobody knows it of the image.
 */
export function updatePayload(
  { payload, places }: WrittenDiskImage,
  options: ArtifactOptions,
  descriptions: readonly UpdateDescription[],
): { readonly payload?: Payload } {
  if (!payload) return {};
  const roles = rolesOf(options);
  const { base, rootfsChanges } = payload;
  const store = payload.parts
    .filter(({ name }) => isStorePart(name))
    .map((part) => ({
      ...part,
      file: imageFileName('store'),
      ranges: placed(part.ranges, -places.store.start),
    }));
  const parts = [...descriptions.map(describedPart), ...(roles.includes('store') ? store : [])];
  return {
    payload: payloadOf({
      ...(base ? { base } : {}),
      rootfsChanges: roles.includes('rootfs') ? rootfsChanges : [],
      parts,
    }),
  };
}

function describedPart({ file, text, digests }: UpdateDescription): DigestedPart {
  const bytes = Buffer.from(text);
  let ranges: readonly ByteRange[] = [{ start: 0, end: bytes.length }];
  for (const digest of digests) {
    const hex = digestHex(digest);
    for (let at = bytes.indexOf(hex); at >= 0; at = bytes.indexOf(hex, at + hex.length)) {
      const place = { start: at, end: at + hex.length };
      ranges = ranges.flatMap((range) => withoutRange([range], place));
    }
  }
  const hash = createHash('sha256');
  for (const { start, end } of ranges) hash.update(bytes.subarray(start, end));
  return { name: file, file, digest: `sha256:${hash.digest('hex')}`, ranges };
}
