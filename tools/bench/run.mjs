// `npm run bench`: builds what it measures and the sample base image, then measures. Arguments go to src/main.ts.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { buildBaseImage } from '../../test/fixtures/base-image/build.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

function run(...args) {
  const { status, error } = spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

run(here('../cli/build.mjs'));
run(here('build.mjs'));
const { image } = await buildBaseImage();
run(here('../../dist/bench/main.mjs'), '--base', image, ...process.argv.slice(2));
