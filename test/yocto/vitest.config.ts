import { defineConfig } from 'vitest/config';
import { threadSourcesForVite } from '../../tools/setup/thread-source.mjs';

// The generated layers against real bitbake: not part of `npm test`. One check at a time; each may take long.
export default defineConfig({
  plugins: [threadSourcesForVite],
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
