export { engines } from './registry.ts';
export type { Engine, Preload, PreloadOptions, StartOptions } from './engine.ts';
export { directory, generatedFile, streamedFile, symlink } from './entries.ts';
