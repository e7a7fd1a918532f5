export * from './tar/index.ts';
export * from './rootfs/index.ts';
