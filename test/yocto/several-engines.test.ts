import { beforeAll, describe, expect } from 'vitest';
import { complaints, finalValues, inBuild } from './build-folder.ts';
import { generateLayer, releaseNames, type GeneratedLayer } from './layers-under-test.ts';
import { optedIn } from './opted-in.ts';
import { proof } from './results.ts';

/** One layer whose images have different engines. */
for (const release of releaseNames) {
  describe(`${release}, docker and podman`, () => {
    let layer: GeneratedLayer;
    beforeAll(async () => {
      layer = await generateLayer(release, 'docker', { pro: 'podman' });
    });
    const inputs = () => [layer.metaBoxship, layer.path, import.meta.filename];
    proof(`${release}/docker-and-podman/parse`, { release, inputs }, async () => {
      const build = await optedIn(release, 'docker-and-podman', layer);
      const { code, text } = await inBuild(build, ['bitbake', '-p']);
      expect({ code, complaints: complaints(text), text: code === 0 ? '' : text.slice(-4000) }).toEqual({
        code: 0,
        complaints: [],
        text: '',
      });
      const { name } = layer.plan.section;
      for (const [i, engine] of ['docker', 'podman'].entries()) {
        const found = await finalValues(build, layer.images[i], [
          'IMAGE_INSTALL',
          'WKS_FULL_PATH',
          'BOXSHIP_TEST_PROBE',
        ]);
        const groups = found['IMAGE_INSTALL']!.split(' ').filter((word) => word.startsWith(`packagegroup-${name}`));
        expect(groups).toEqual([`packagegroup-${name}-${engine}`]);
        expect(found['WKS_FULL_PATH']).not.toBe('');
        expect(found['BOXSHIP_TEST_PROBE']).toBe(`${engine} info`);
      }
      const kernel = await finalValues(build, 'virtual/kernel', ['KERNEL_FEATURES']);
      expect(kernel['KERNEL_FEATURES']!.split(' ')).toEqual(
        expect.arrayContaining([`${name}-docker.scc`, `${name}-podman.scc`]),
      );
      return { images: layer.images.length, warnings: 0 };
    });
  });
}
