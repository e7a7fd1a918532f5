import { defineConfig } from 'vitest/config';

// The generated layers against real bitbake: not part of `npm test`. One check at a time; each may take long.
export default defineConfig({
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
