import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runProgram } from '@boxship/host';
import type { TestProject } from 'vitest/node';
import { buildBaseImage } from '../fixtures/base-image/build.mjs';
import { composeSample, makeSampleProduct, type SampleProduct } from './sample-product.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The sample product 1.0 on the GPT base, `pro` composed. Look, don't touch. */
    product: SampleProduct;
    /** An empty folder that is removed when all tests are done. */
    scratch: string;
  }
}

/** Made once for all files: the program as users get it, far from any node_modules, and a product composed with it. */
export default async function setup(project: TestProject) {
  const scratch = await mkdtemp(join(tmpdir(), 'boxship-product-'));
  await chmod(scratch, 0o755); // a test enters it as another user
  const build = fileURLToPath(new URL('../../tools/cli/build.mjs', import.meta.url));
  await runProgram(process.execPath, [build, join(scratch, 'bin')]);
  const { image: base } = await buildBaseImage();
  const program = join(scratch, 'bin/boxship.mjs');
  const product = await makeSampleProduct({ program, folder: join(scratch, 'product'), base });
  await composeSample(product);
  project.provide('product', product);
  project.provide('scratch', scratch);
  return () => rm(scratch, { recursive: true, force: true });
}
