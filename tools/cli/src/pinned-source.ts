import type { Lock } from '@boxship/catalog';
import type { LockedImage } from '@boxship/model';
import { formatReference, type ImageSource } from '@boxship/oci';

/** `source`, which answers for a tag what the lock pinned, wherever the tag points today. */
export function pinnedSource(source: ImageSource, lock: Lock): ImageSource {
  const pins = new Map<string, LockedImage>(lock.images.map((image) => [image.reference, image]));
  return {
    ...source,
    find(reference, signal) {
      const pin = reference.digest === undefined ? pins.get(formatReference(reference)) : undefined;
      return source.find(pin ? { ...reference, digest: pin.index ?? pin.manifest.digest } : reference, signal);
    },
  };
}
