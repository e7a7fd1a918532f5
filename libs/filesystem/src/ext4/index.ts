export { planExt4, writeExt4, type Ext4Options, type Ext4Plan } from './plan.ts';
export type { Ext4Size } from './fit.ts';
export type { ContentWriter } from './content-writer.ts';
export { blockPadding, createRunSequence } from './run-sequence.ts';
export { BranchTables } from './branch-tables.ts';
