import { createHash } from 'node:crypto';
import { lstat, readFile, readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect } from 'vitest';
import { socketFiles } from '@boxship/device-socket';
import { partitionIdentities } from '@boxship/disk';
import { plainDeviceFacts } from '@boxship/model';
import { docker } from '../../libs/engines/src/docker/index.ts';
import { publicKeyPem } from '../../libs/generate/src/testing/sample-layer.ts';
import {
  complaints,
  finalValues,
  inBuild,
  makeBuildFolder,
  ourRecipesAlone,
  removeWork,
  type BuildFolder,
} from './build-folder.ts';
import { generateLayer, releaseNames, type GeneratedLayer } from './layers-under-test.ts';
import { proof } from './results.ts';

for (const release of releaseNames) {
  describe(`${release}, docker`, () => {
    let layer: GeneratedLayer;
    beforeAll(async () => {
      layer = await generateLayer(release, 'docker');
    });
    const inputs = () => [layer.metaBoxship, layer.path, import.meta.filename];

    proof(`${release}/docker/execute`, { release, inputs }, async () => {
      const build = await makeBuildFolder(release, 'execute', {
        layers: [layer.metaBoxship, layer.path],
        configuration: [`require ${layer.optInName}`, ...ourRecipesAlone()],
      });
      await removeWork(build);
      const { name } = layer.plan.section;
      const recipes = ['boxship-socket', `${name}-socket`, `${name}-docker-config`];
      const { code, text } = await inBuild(build, ['bitbake', '-c', 'install', ...recipes]);
      expect({ code, complaints: complaints(text), text: code === 0 ? '' : text.slice(-5000) }).toEqual({
        code: 0,
        complaints: [],
        text: '',
      });

      const installed = new Map<string, string>();
      for (const recipe of recipes.slice(0, 2)) {
        for (const [path, what] of await treeOf(await imageFolder(build, recipe))) installed.set(path, what);
      }
      expect(Object.fromEntries(installed)).toEqual(await addedByCompose(layer));

      const configuration = await treeOf(await imageFolder(build, recipes[2]!));
      expect([...configuration.keys()]).toEqual(layer.plan.needs.configuration.map(({ path }) => path.slice(1)).sort());
      return { recipes: recipes.length, files: installed.size };
    });
  });
}

async function imageFolder(build: BuildFolder, recipe: string): Promise<string> {
  return (await finalValues(build, recipe, ['D']))['D']!;
}

/** Every file and link below a folder: mode and digest, or target. */
async function treeOf(root: string): Promise<Map<string, string>> {
  const tree = new Map<string, string>();
  for (const path of (await readdir(root, { recursive: true })).sort()) {
    const info = await lstat(join(root, path));
    if (info.isSymbolicLink()) tree.set(path, `-> ${await readlink(join(root, path))}`);
    else if (info.isFile()) {
      const mode = (await stat(join(root, path))).mode & 0o7777;
      tree.set(path, `${mode.toString(8)} ${digestOf(await readFile(join(root, path)))}`);
    }
  }
  return tree;
}

/** What compose adds to the rootfs of the same product and machine when it finds no socket there. */
async function addedByCompose({ plan }: GeneratedLayer): Promise<Record<string, string>> {
  const [machine] = plan.machines;
  const identity = partitionIdentities(plan.product, machine!.name);
  const { entries } = socketFiles({
    engines: [docker.socket({ facts: plainDeviceFacts(), engine: { name: 'docker' } })],
    product: plan.product,
    machine: machine!.name,
    storeUuid: identity('store'),
    dataUuid: identity('data'),
    tableType: machine!.table,
    publicKeyPem,
    development: false,
  });
  const tree: Record<string, string> = {};
  for (const { path, type, mode, link, content } of entries) {
    if (type === 'symlink') tree[path] = `-> ${link}`;
    if (type !== 'file') continue;
    const chunks: Uint8Array[] = [];
    for await (const chunk of content?.source.open() ?? []) chunks.push(Buffer.from(chunk));
    tree[path] = `${mode.toString(8)} ${digestOf(Buffer.concat(chunks))}`;
  }
  return tree;
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
