import { defineConfig } from 'vitest/config';
import { threadSourcesForVite } from './tools/setup/thread-source.mjs';

export default defineConfig({
  plugins: [threadSourcesForVite],
  test: {
    include: [
      'libs/*/src/**/*.test.ts',
      'tools/*/src/**/*.test.ts',
      'test/structure/**/*.test.ts',
      'test/fears/**/*.test.ts',
    ],
    testTimeout: 120_000,
    hookTimeout: 300_000,
    pool: 'forks',
  },
});
