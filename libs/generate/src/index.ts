export { layerFiles, type LayerFile, type LayerInputs } from './layer-files.ts';
export { layerPinsPath, readLayerPins, type LayerPins } from './layer-pins.ts';
export { planLayer, type LayerPlan, type PlanLayerOptions } from './layer-plan.ts';
export type { SocketKey } from './socket-package.ts';
export type { StoreBundle, StoreBundles } from './image-files.ts';
