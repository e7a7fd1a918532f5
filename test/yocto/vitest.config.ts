import { defineConfig } from 'vitest/config';
import { madeModulesForVite } from '../../tools/setup/made-modules.mjs';

// The generated layers against real bitbake: not part of `npm test`. One check at a time; each may take long.
export default defineConfig({
  plugins: [madeModulesForVite],
  test: {
    root: import.meta.dirname,
    include: ['**/*.test.ts'],
    globalSetup: ['./setup.ts'],
    fileParallelism: false,
    pool: 'forks',
    hookTimeout: 3 * 3600 * 1000,
    reporters: ['verbose'],
  },
});
