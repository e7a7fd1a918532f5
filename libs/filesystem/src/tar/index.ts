export { cleanEntryPath } from './entry-path.ts';
export { readTar } from './read-tar.ts';
export type { TarEntry, TarVisitor } from './tar-entry.ts';
export { printableName, type TarProblemCode } from './tar-error.ts';
export { createTarParser, MAX_FILE_SIZE, type TarOptions, type TarParser } from './tar-parser.ts';
export { tarHeader } from './tar-header-writer.ts';
export { writeTar } from './write-tar.ts';
export { planTar, type TarPlan } from './plan-tar.ts';
