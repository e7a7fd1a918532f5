export { listAssetFiles, readAssetFile } from './asset-file.ts';
export * from './atomic-file.ts';
export * from './cache.ts';
export { directWriter, newDirectWay, openDirectFile, type DirectFile } from './direct-file.ts';
export * from './file-access.ts';
export { HAND_OVER_BUFFER, handOverReader, handOverWriter, letReaderCome, newHandOver, noteChange, type HandOverReader, type HandOverWriter } from './hand-over.ts'; // prettier-ignore
export * from './make-folder.ts';
export { pageAlignedBuffer } from './page-aligned.ts';
export * from './partial-file.ts';
export { programRoom, type ProgramRoom, type RoomLimits } from './program-room.ts';
export * from './progress.ts';
export { readAhead, type ReadAhead } from './read-ahead.ts';
export { releaseMemory } from './release-memory.ts';
export { programPath, runProgram, type RunOptions, type RunResult } from './run-program.ts';
export * from './scratch.ts';
export {
  memoryMover,
  sharedBytes,
  shareMemory,
  type MemoryMover,
  type SharedBlock,
  type SharedPiece,
} from './shared-memory.ts';
export { sideBySide, type SideBySideOptions } from './side-by-side.ts';
export * from './start-program.ts';
export { buildGoProgram } from './testing/go-program.ts';
