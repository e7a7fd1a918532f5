export { inspectPath, type InspectOptions } from './inspect-path.ts';
export type {
  InspectedFilesystem,
  InspectedImages,
  InspectedPartition,
  InspectedRelease,
  InspectedStore,
  InspectedSystem,
  Inspection,
  SignatureState,
} from './inspection.ts';
