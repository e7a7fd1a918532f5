export { assembleDisk, type AssemblyInputs, type AssemblyOptions } from './assemble-disk.ts';
