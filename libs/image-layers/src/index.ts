export type { LayerBlob } from './blob-reader.ts';
export { openImageLayer, type CachedImageLayer } from './image-layer.ts';
export { layerContent } from './layer-content.ts';
export { openInventory, type CachedInventory } from './open-inventory.ts';
export { syntheticLayer, type SyntheticLayer } from './synthetic-layer.ts';
export { INVENTORY_KIND, takeInventory, type InventoryOptions } from './take-inventory.ts';
