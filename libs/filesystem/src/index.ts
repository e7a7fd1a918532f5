export * from './tar/index.ts';
