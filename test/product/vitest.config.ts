import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { madeModulesForVite } from '../../tools/setup/made-modules.mjs';

// Whole-product tests: real engines and booted machines. An emulated machine keeps one core busy: two files at a time.
export default defineConfig({
  plugins: [madeModulesForVite],
  test: {
    root: import.meta.dirname,
    include: ['**/*.test.ts'],
    globalSetup: ['./setup.ts'],
    maxWorkers: Math.min(2, availableParallelism()),
    pool: 'forks',
    testTimeout: 1_800_000,
    hookTimeout: 1_800_000,
  },
});
