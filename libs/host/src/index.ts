export { readAssetFile } from './asset-file.ts';
export * from './atomic-file.ts';
export * from './cache.ts';
export * from './file-access.ts';
export * from './progress.ts';
export * from './run-program.ts';
export * from './scratch.ts';
