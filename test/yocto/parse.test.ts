import { beforeAll, describe, expect, it } from 'vitest';
import { complaints, finalValues, inBuild } from './build-folder.ts';
import type { Release } from './checkouts.ts';
import {
  engineNames,
  engineWithoutCheck,
  generateLayer,
  releaseNames,
  type GeneratedLayer,
} from './layers-under-test.ts';
import { optedIn } from './opted-in.ts';
import { proof, type Findings } from './results.ts';

it('checks every engine that there is', () => {
  expect(engineWithoutCheck()).toBeUndefined();
});

for (const release of releaseNames) {
  for (const engine of engineNames) {
    describe(`${release}, ${engine}`, () => {
      let layer: GeneratedLayer;
      beforeAll(async () => {
        layer = await generateLayer(release, engine);
      });
      const inputs = () => [layer.metaBoxship, layer.path, import.meta.filename];

      proof(`${release}/${engine}/parse`, { release, inputs }, () => parse(release, engine, layer));

      proof(`${release}/${engine}/values`, { release, inputs }, async () => {
        const build = await optedIn(release, engine, layer);
        const { plan, images } = layer;
        const found = await finalValues(build, images[0]!, [
          'WKS_FULL_PATH', 'IMAGE_FSTYPES', 'IMAGE_INSTALL', 'DISTRO_FEATURES', 'INIT_MANAGER', 'DISTROOVERRIDES',
          'CONTAINER_PROFILE', 'MACHINE', 'VIRTUAL-RUNTIME_init_manager',
        ]); // prettier-ignore
        expect(found['WKS_FULL_PATH']).toMatch(new RegExp(`/${plan.section.name}-qemux86-64\\.wks$`));
        expect(found['IMAGE_FSTYPES']!.split(' ')).toEqual(expect.arrayContaining(['wic', 'wic.bmap']));
        expect(found['IMAGE_INSTALL']!.split(' ')).toContain(`packagegroup-${plan.section.name}-${engine}`);
        expect(found['DISTRO_FEATURES']!.split(' ')).toEqual(expect.arrayContaining([...plan.features]));
        expect(found['DISTROOVERRIDES']!.split(':')).toContain(plan.section.name);
        expect(found['VIRTUAL-RUNTIME_init_manager']).toBe('systemd');
        if (plan.needs.containerProfile) expect(found['CONTAINER_PROFILE']).toBe(plan.needs.containerProfile);

        const kernel = await finalValues(build, 'virtual/kernel', ['PN', 'PV', 'KERNEL_FEATURES', 'SRC_URI']);
        expect(kernel['PN']).toBe('linux-yocto');
        expect(kernel['KERNEL_FEATURES']!.split(' ')).toContain(`${plan.section.name}-${engine}.scc`);
        expect(kernel['SRC_URI']).toContain(`file://${plan.section.name}-kmeta;type=kmeta`);

        const group = await finalValues(build, `packagegroup-${plan.section.name}-${engine}`, [
          `RDEPENDS:packagegroup-${plan.section.name}-${engine}`,
        ]);
        const needed = Object.values(group)[0]!.split(' ');
        expect(needed).toEqual(expect.arrayContaining([...plan.needs.packages]));
        return { kernel: `linux-yocto ${kernel['PV']}`, packages: plan.needs.packages.join(' ') };
      });
    });
  }
}

// the development branch moves every day: it is parsed, with the recipes that the newest release needs
for (const engine of engineNames) {
  describe(`master, ${engine}`, () => {
    let layer: GeneratedLayer;
    beforeAll(async () => {
      layer = await generateLayer('master', engine);
    });
    const inputs = () => [layer.metaBoxship, layer.path, import.meta.filename];
    proof(`master/${engine}/parse`, { release: 'master', inputs }, () => parse('master', engine, layer));
  });
}

/** `bitbake -p` of a build that opts in, without a warning. */
async function parse(release: Release, engine: string, layer: GeneratedLayer): Promise<Findings> {
  const build = await optedIn(release, engine, layer);
  const { code, text } = await inBuild(build, ['bitbake', '-p']);
  expect({ code, complaints: complaints(text), text: code === 0 ? '' : text.slice(-4000) }).toEqual({
    code: 0,
    complaints: [],
    text: '',
  });
  const [, files, targets, skipped, masked] =
    /Parsing of (\d+) \.bb files complete.*?(\d+) targets, (\d+) skipped, (\d+) masked, 0 errors/.exec(text)!;
  expect(Number(masked)).toBeGreaterThan(1000); // the restricted set is in force
  return { recipes: Number(files), targets: Number(targets), skipped: Number(skipped), warnings: 0 };
}
