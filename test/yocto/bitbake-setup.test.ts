import { readFile, readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { beforeAll, describe, expect } from 'vitest';
import { yoctoReleases } from '@boxship/yocto';
import { checkout } from './checkouts.ts';
import { engineNames, generateLayer, releaseNames, type GeneratedLayer } from './layers-under-test.ts';
import { proof } from './results.ts';

/** As much of ajv 8 as is used here. */
interface Schemas {
  addSchema(schema: object, name: string): Schemas;
  compile(schema: object): ((value: unknown) => boolean) & { readonly errors?: unknown };
}

// ajv of the workspace's packages; the linter has an older one at the root
const { Ajv2020 } = createRequire(new URL('../../libs/generate/package.json', import.meta.url))('ajv/dist/2020.js') as {
  Ajv2020: new (options: object) => Schemas;
};

/** The configurations for bitbake-setup, held against the JSON Schemas that bitbake of that release ships. */
for (const release of releaseNames.filter((name) => yoctoReleases[name].hasBitbakeSetup)) {
  for (const engine of engineNames) {
    describe(`${release}, ${engine}`, () => {
      let layer: GeneratedLayer;
      beforeAll(async () => {
        layer = await generateLayer(release, engine);
      });
      const inputs = () => [layer.path, import.meta.filename];
      const options = { release, checkouts: ['bitbake'], inputs, obstacle: async () => undefined };
      proof(`${release}/${engine}/bitbake-setup`, options, async () => {
        const validate = await setupSchema(join(checkout(release, 'bitbake'), 'setup-schema'));
        const folder = join(layer.path, 'bitbake-setup');
        const files = await readdir(folder);
        expect(files.length).toBeGreaterThan(0);
        for (const file of files) {
          const fits = validate(JSON.parse(await readFile(join(folder, file), 'utf8')));
          expect({ file, errors: fits ? [] : validate.errors }).toEqual({ file, errors: [] });
        }
        expect(validate({ version: '1.0' })).toBe(false);
        return { files: files.length, findings: 0 };
      });
    });
  }
}

async function setupSchema(folder: string) {
  const read = async (name: string) => JSON.parse(await readFile(join(folder, name), 'utf8')) as object;
  return new Ajv2020({ strict: false, allErrors: true })
    .addSchema(await read('layers.schema.json'), 'layers.schema.json')
    .compile(await read('bitbake-setup.schema.json'));
}
