import { defineConfig } from 'vitest/config';
import { madeModulesForVite } from '../../tools/setup/made-modules.mjs';

// Whole-product tests: real engines and booted machines. One file at a time: an emulated machine wants the whole host.
export default defineConfig({
  plugins: [madeModulesForVite],
  test: {
    root: import.meta.dirname,
    include: ['**/*.test.ts'],
    globalSetup: ['./setup.ts'],
    fileParallelism: false,
    pool: 'forks',
    testTimeout: 1_800_000,
    hookTimeout: 1_800_000,
  },
});
