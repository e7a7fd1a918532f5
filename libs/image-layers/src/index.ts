export type { LayerBlob } from './blob-reader.ts';
export { copyInThread, type EarlierCopy } from './copy-in-thread.ts';
export { sniffCompression, type LayerCompression } from './compression.ts';
export { decompress, type DecompressOptions } from './decompress.ts';
export { openImageLayer, type CachedImageLayer } from './image-layer.ts';
export { layerContent } from './layer-content.ts';
export { openInventory, type CachedInventory } from './open-inventory.ts';
export { syntheticLayer, type SyntheticLayer } from './synthetic-layer.ts';
export { INVENTORY_KIND, takeInventory, type InventoryOptions } from './take-inventory.ts';
