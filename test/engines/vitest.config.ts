import { defineConfig } from 'vitest/config';
import { madeModulesForVite } from '../../tools/setup/made-modules.mjs';

// Real engines on stores that we wrote. One file at a time: an engine wants the whole host.
export default defineConfig({
  plugins: [madeModulesForVite],
  test: {
    root: import.meta.dirname,
    include: ['**/*.test.ts'],
    fileParallelism: false,
    pool: 'forks',
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
