import type { ContentSource } from '@boxship/model';
import { readLayerTar, type LayerBlob } from './blob-reader.ts';

/**
 * The uncompressed tar of a layer, `tarSize` bytes long. Each `open` reads the blob and verifies its digest; it fails before
 * the first chunk when the blob has another size, and as soon as more comes out than `tarSize`. That the blob unpacks to
 * `diffId` was proven when its inventory was taken; since the same blob always unpacks to the same bytes, it is not hashed
 * a second time. A chunk is valid until the next one is asked for. Errors: those of `readLayerTar`.
 */
export function layerContent(layer: LayerBlob, tarSize: number): ContentSource {
  return {
    id: layer.diffId,
    size: tarSize,
    open: (signal) => readLayerTar(layer, { limit: tarSize, signal, verify: 'blob' }),
  };
}
