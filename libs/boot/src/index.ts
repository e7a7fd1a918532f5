export type { Acceleration } from './acceleration.ts';
export { bootImage, type BootOptions, type BootResult } from './boot-image.ts';
export type { BootFiles } from './boot-files.ts';
export { startMachine, type Machine, type MachineOptions } from './machine.ts';
export type { LinePattern, SerialConsole } from './serial-console.ts';
export { logIn, type Shell } from './shell.ts';
