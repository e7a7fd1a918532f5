export { checkSocketNeeds, socketWarnings } from './device-checks.ts';
export { isInside, mountUnitName, type EngineMount, type EngineSocket, type EngineUnit } from './engine-socket.ts';
export {
  socketFiles,
  socketVersion,
  wantedUnits,
  type SocketFile,
  type SocketFiles,
  type SocketOptions,
} from './socket-files.ts';
export { exampleFacts, examplePublicKey } from './example-facts.ts';
