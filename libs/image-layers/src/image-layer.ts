import type { Cache } from '@boxship/host';
import { UserError, digestHex, type ImageLayer } from '@boxship/model';
import { layerName, type LayerBlob } from './blob-reader.ts';
import { blobContent, layerContent } from './layer-content.ts';
import { openInventory, type CachedInventory } from './open-inventory.ts';
import { INVENTORY_KIND, takeInventory, type InventoryOptions } from './take-inventory.ts';

export interface CachedImageLayer extends ImageLayer {
  readonly inventory: CachedInventory;
}

/**
 * A layer with its inventory: from the cache, or by reading the blob once. A damaged inventory is made anew.
 * Errors: those of `takeInventory`; WRONG_DIFF_ID when the blob is known to hold another tar.
 */
export async function openImageLayer(
  layer: LayerBlob,
  cache: Cache,
  options: InventoryOptions = {},
): Promise<CachedImageLayer> {
  for (let attempt = 1; ; attempt++) {
    const folder = await takeInventory(layer, cache, options);
    const inventory = await openInventory(folder, (summary) => layerContent(layer, summary));
    if (inventory) {
      if (inventory.diffId !== layer.diffId) throw wrongDiffId(layer, inventory);
      const { blob, diffId } = layer;
      const content = layerContent(layer, inventory);
      return { blob, diffId, content, blobContent: blobContent(layer), inventory };
    }
    if (attempt === 2) throw new Error(`the inventory at ${folder} is damaged right after it was made`);
    await cache.remove(INVENTORY_KIND, digestHex(layer.blob.digest));
  }
}

function wrongDiffId(layer: LayerBlob, inventory: CachedInventory): UserError {
  return new UserError(
    'WRONG_DIFF_ID',
    `${layerName(layer)} unpacks to ${inventory.diffId}, the image configuration says ${layer.diffId}`,
    'The image contradicts itself; build it again, or take it from where it was first pushed.',
  );
}
