import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { findRecipe } from '@boxship/catalog';
import { beforeAll, describe, expect } from 'vitest';
import { complaints, finalValues, inBuild, kernelAlone, makeBuildFolder, type BuildFolder } from './build-folder.ts';
import { CORE_LAYERS, yoctoFolder, type Release } from './checkouts.ts';
import { generateLayer, type GeneratedLayer } from './layers-under-test.ts';
import { proof } from './results.ts';

/** Machines whose kernel comes from a vendor's layer, where that layer has a branch for the release. */
const MACHINES: readonly (readonly [Release, string])[] = [
  ['wrynose', 'raspberrypi4-64'],
  ['wrynose', 'imx8mp-lpddr4-evk'],
  ['scarthgap', 'raspberrypi4-64'],
  ['scarthgap', 'imx8mp-lpddr4-evk'],
  ['scarthgap', 'verdin-imx8mp'],
  ['scarthgap', 'am62xx-evm'],
];

const VALUES = ['PN', 'PV', 'FILE', 'SRC_URI', 'KERNEL_FEATURES', 'KERNEL_CONFIG_FRAGMENTS', 'DELTA_KERNEL_DEFCONFIG'];

for (const [release, machine] of MACHINES) {
  describe(`${release}, ${machine}`, () => {
    let layer: GeneratedLayer;
    beforeAll(async () => {
      layer = await generateLayer(release, 'docker', { machine });
    });
    proof(
      `${release}/${machine}/kernel-append`,
      {
        release,
        checkouts: [...CORE_LAYERS, ...repositoriesOf(machine)],
        inputs: () => [layer.metaBoxship, layer.path, import.meta.filename],
      },
      () => askKernels(release, machine, layer),
    );
  });
}

/** Repositories of the machine's layers, as in its recipe. */
function repositoriesOf(machine: string): readonly string[] {
  const { layers } = findRecipe(machine)!.yocto!;
  return [...new Set(layers.map(({ repository }) => basename(repository, '.git')))];
}

/**
 * With the vendor's layers and the opt-in, the vendor's kernel has our fragment; without the opt-in it has not; without the
 * vendor's layers the append is not looked at, and linux-yocto has nothing of it. Parsing says nothing of our files.
 */
async function askKernels(release: Release, machine: string, layer: GeneratedLayer) {
  const [planned] = layer.plan.machines;
  const { name } = layer.plan.section;
  const { kernel } = planned!;
  const vendor = planned!.layers.filter(({ folder }) => repositoriesOf(machine).includes(folder));
  expect(new Set(vendor.map(({ folder }) => folder))).toEqual(new Set(repositoriesOf(machine)));
  const fragment = `${name}-docker.cfg`;
  const paths = vendor.map(({ folder, path }) => join(yoctoFolder(), release, folder, path));

  const build = async (what: 'vendor' | 'plain', optIn: boolean): Promise<BuildFolder> =>
    await makeBuildFolder(release, `kernel-${machine}-${what}`, {
      layers: [...(what === 'vendor' ? paths : []), layer.metaBoxship, layer.path],
      machine: what === 'vendor' ? planned!.machine : 'qemux86-64',
      configuration: [
        'DISTRO_FEATURES:append = " virtualization seccomp ipv6"', // meta-virtualization warns without
        ...kernelAlone(
          release,
          kernel.recipe,
          vendor.map(({ collection }) => collection),
        ),
        // a licence that somebody must agree to is none of this check's
        ...planned!.licences.map(({ variable, value }) => `${variable} = "${value}"`),
        ...(optIn ? [`require ${layer.optInName}`] : []),
      ],
    });
  const parse = async (folder: BuildFolder) => {
    const { code, text } = await inBuild(folder, ['bitbake', '-p']);
    expect({ code, text: code === 0 ? '' : text.slice(-4000) }).toEqual({ code: 0, text: '' });
    return complaints(text);
  };

  const present = await build('vendor', true);
  const said = await parse(present);
  expect(said.filter((line) => line.includes(name) || line.includes('boxship'))).toEqual([]);
  const found = await finalValues(present, 'virtual/kernel', VALUES);
  expect(found['PN']).toBe(kernel.recipe);
  expect(found['PV']!.startsWith(`${kernel.version}.`), `${found['PV']} is ${kernel.version}`).toBe(true);
  expect(words(found['SRC_URI'])).toContain(`file://${fragment}`);
  const named = words(found['KERNEL_CONFIG_FRAGMENTS']).filter((path) => path.endsWith(`/${fragment}`));
  expect(named).toHaveLength(kernel.fragments === 'merge-config' ? 1 : 0);
  if (kernel.fragments === 'src-uri') {
    // such a .cfg is merged by kernel-yocto.bbclass alone
    const recipe = await inBuild(present, ['bitbake', '-e', 'virtual/kernel']);
    expect(recipe.text).toMatch(/^do_kernel_configme\(\)|^do_kernel_configme \(\)/m);
  }

  const silent = await build('vendor', false);
  await parse(silent);
  const without = await finalValues(silent, 'virtual/kernel', VALUES);
  expect(without['PN']).toBe(kernel.recipe);
  expect(JSON.stringify(without)).not.toContain(fragment);

  const absent = await build('plain', true);
  expect(await parse(absent)).toEqual([]);
  const plain = await finalValues(absent, 'virtual/kernel', VALUES);
  expect(plain['PN']).toBe('linux-yocto');
  expect(JSON.stringify(plain)).not.toContain(fragment);
  const appended = await readFile(join(layer.path, 'conf/layer.conf'), 'utf8');
  expect(appended).toContain(`dynamic-layers/${kernel.collection}/`);

  return { kernel: `${kernel.recipe} ${found['PV']}`, through: kernel.fragments, 'vendor warnings': said.length };
}

function words(text: string | undefined): readonly string[] {
  return (text ?? '').split(' ').filter(Boolean);
}
