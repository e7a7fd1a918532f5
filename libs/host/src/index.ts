export { listAssetFiles, readAssetFile } from './asset-file.ts';
export * from './atomic-file.ts';
export * from './cache.ts';
export * from './file-access.ts';
export * from './partial-file.ts';
export * from './progress.ts';
export { programPath, runProgram, type RunOptions, type RunResult } from './run-program.ts';
export * from './scratch.ts';
export * from './start-program.ts';
