import { defineConfig } from 'vitest/config';
import { madeModulesForVite } from './tools/setup/made-modules.mjs';

export default defineConfig({
  plugins: [madeModulesForVite],
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
    maxWorkers: '100%', // vitest by itself leaves one core to nobody: on two, all files would run one after another
  },
});
