import { beforeAll, describe, expect } from 'vitest';
import { complaints, inBuild } from './build-folder.ts';
import { generateLayer, releaseNames, type GeneratedLayer } from './layers-under-test.ts';
import { optedIn } from './opted-in.ts';
import { proof } from './results.ts';

/** Every task of an image, in order, without running one. bitbake parses a recipe anew for each task: about an hour of CPU. */
for (const release of releaseNames) {
  for (const engine of ['docker', 'k3s']) {
    describe(`${release}, ${engine}`, () => {
      let layer: GeneratedLayer;
      beforeAll(async () => {
        layer = await generateLayer(release, engine);
      });
      const inputs = () => [layer.metaBoxship, layer.path, import.meta.filename];
      proof(`${release}/${engine}/dry-run`, { release, inputs }, async () => {
        const build = await optedIn(release, engine, layer);
        const { code, text } = await inBuild(build, ['bitbake', '-n', layer.images[0]!]);
        expect({ code, complaints: complaints(text), text: code === 0 ? '' : text.slice(-4000) }).toEqual({
          code: 0,
          complaints: [],
          text: '',
        });
        return { tasks: Number(/Attempted (\d+) tasks/.exec(text)![1]) };
      });
    });
  }
}
