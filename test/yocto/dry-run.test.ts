import { beforeAll, describe, expect } from 'vitest';
import { complaints, inBuild } from './build-folder.ts';
import { generateLayer, releaseNames, type GeneratedLayer } from './layers-under-test.ts';
import { optedIn } from './opted-in.ts';
import { proof } from './results.ts';

/**
 * Every task of an image with docker and of one with k3s, in order, without running one. bitbake parses a recipe anew for each
 * task, so both images are of one layer and one run: nearly all of their tasks are the same.
 */
for (const release of releaseNames) {
  describe(`${release}, docker and k3s`, () => {
    let layer: GeneratedLayer;
    beforeAll(async () => {
      layer = await generateLayer(release, 'docker', { pro: 'k3s' });
    });
    const inputs = () => [layer.metaBoxship, layer.path, import.meta.filename];
    proof(`${release}/docker-and-k3s/dry-run`, { release, inputs }, async () => {
      const build = await optedIn(release, 'docker-and-k3s', layer);
      const { code, text } = await inBuild(build, ['bitbake', '-n', ...layer.images]);
      expect({ code, complaints: complaints(text), text: code === 0 ? '' : text.slice(-4000) }).toEqual({
        code: 0,
        complaints: [],
        text: '',
      });
      return { images: layer.images.length, tasks: Number(/Attempted (\d+) tasks/.exec(text)![1]) };
    });
  });
}
