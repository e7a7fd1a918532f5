export { checkEngineConfig, checkSocketNeeds, planWarnings } from './device-checks.ts';
export { socketFiles, socketVersion, type SocketFile, type SocketFiles, type SocketOptions } from './socket-files.ts';
