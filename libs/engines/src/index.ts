export { engines } from './registry.ts';
export type { Engine, EngineBuild, EngineDevice, EngineFile, Preload, PreloadOptions, StartOptions } from './engine.ts';
export { layerOf } from './overlay-diff.ts';
export { directory, generatedFile, streamedFile, symlink } from './entries.ts';
export {
  kernelFeatures,
  missingOptions,
  wantedOptions,
  type EngineKernelOptions,
  type KernelFeature,
  type KernelOption,
  type MissingOptions,
} from './kernel-options.ts';
export type { EngineFootprint } from './engine-footprint.ts';
export { buildNeedsOf, builtEngineFacts, type BuildOptions } from './build-needs.ts';
export type { ComposeKeys, KeySupport } from './compose-keys.ts';
export type { ListedImage, StoreReader } from './store-reader.ts';
export { storeReaders } from './store-readers.ts';
