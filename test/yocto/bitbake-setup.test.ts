import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { beforeAll, describe, expect } from 'vitest';
import { yoctoReleases } from '@boxship/yocto';
import { asBuilder, complaints, ourRecipesAlone, own } from './build-folder.ts';
import { CORE_LAYERS, checkout, yoctoFolder, type Release } from './checkouts.ts';
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

/** bitbake-setup itself makes a build folder of a configuration, with layers that are here, and bitbake works in it. */
for (const release of releaseNames.filter((name) => yoctoReleases[name].hasBitbakeSetup)) {
  describe(`${release}, a build folder`, () => {
    let layer: GeneratedLayer;
    beforeAll(async () => {
      layer = await generateLayer(release, 'docker', { distro: 'nodistro' }); // the layer of poky is none of the core layers
    });
    const inputs = () => [layer.path, layer.metaBoxship, import.meta.filename];
    proof(`${release}/docker/bitbake-setup-init`, { release, inputs }, async () => {
      const { name } = layer.plan.section;
      const folder = await initSetup(release, layer);
      const build = join(folder, `builds/${name}-qemux86-64/build`);
      const script = 'build=$1; shift; command=("$@"); . "$build/init-build-env" >/dev/null; exec "${command[@]}" 2>&1'; // it unsets $@
      const inSetup = async (...command: string[]) =>
        await asBuilder(['bash', '-c', script, 'boxship', build, ...command], folder);
      const value = async (variable: string) =>
        (await inSetup('bitbake-getvar', '-q', '--value', variable)).text.trim();
      expect(await value('MACHINE')).toBe('qemux86-64');
      expect((await value('DISTROOVERRIDES')).split(':')).toContain(name); // the fragment opts in
      expect(await value('CONTAINER_PROFILE')).toBe('docker');

      await writeFile(join(folder, 'ours.conf'), `BB_NO_NETWORK = "1"\n${ourRecipesAlone().join('\n')}\n`);
      const { code, text } = await inSetup('bitbake', '-R', join(folder, 'ours.conf'), '-p');
      expect({ code, complaints: complaints(text), text: code === 0 ? '' : text.slice(-4000) }).toEqual({
        code: 0,
        complaints: [],
        text: '',
      });
      const recipes = Number(/Parsing of (\d+) \.bb files complete/.exec(text)![1]);
      expect(recipes).toBeGreaterThan(4); // those of both layers are found by their relative paths
      return { layers: (await value('BBLAYERS')).split(/\s+/).length, recipes, warnings: 0 };
    });
  });
}

/** Runs `bitbake-setup init` on the configuration of qemux86-64; returns the folder that has `builds/` in it. */
async function initSetup(release: Release, layer: GeneratedLayer): Promise<string> {
  const folder = join(yoctoFolder(), release, 'build', 'bitbake-setup');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await own(folder);
  const { code, text } = await asBuilder(
    [
      join(checkout(release, 'bitbake'), 'bin/bitbake-setup'),
      '--setting', 'default', 'top-dir-prefix', folder,
      '--setting', 'default', 'top-dir-name', 'builds',
      'init', '--non-interactive',
      ...CORE_LAYERS.flatMap((name) => ['-L', name, checkout(release, name)]),
      join(layer.path, 'bitbake-setup/qemux86-64.conf.json'),
    ],
    folder,
  ); // prettier-ignore
  expect({ code, text: code === 0 ? '' : text.slice(-4000) }).toEqual({ code: 0, text: '' });
  return folder;
}

async function setupSchema(folder: string) {
  const read = async (name: string) => JSON.parse(await readFile(join(folder, name), 'utf8')) as object;
  return new Ajv2020({ strict: false, allErrors: true })
    .addSchema(await read('layers.schema.json'), 'layers.schema.json')
    .compile(await read('bitbake-setup.schema.json'));
}
