import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { cached } from './test-cache.mjs';
import { run } from './program.mjs';

/**
 * The node program of another major version, from its npm package, fetched once into the test cache (some 100 MB);
 * undefined with a warning when it cannot be had, or an error on CI (CI=true).
 */
export async function nodeProgram(major) {
  const name = `node-linux-${process.arch}`;
  try {
    const folder = await cached('node', String(major), async (path) => {
      const options = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
      await run('npm', ['install', '--prefix', path, ...options, `${name}@${major}`]);
      await run(join(path, 'node_modules', name, 'bin/node'), ['--version']);
      rmSync(join(path, 'node_modules', name, 'include'), { recursive: true, force: true });
    });
    return join(folder, 'node_modules', name, 'bin/node');
  } catch (error) {
    if (process.env.CI === 'true') throw error;
    console.warn(`no Node ${major}: ${error.message}`);
    return undefined;
  }
}
