import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Problem } from '@boxship/model';
import type { LayerPlan } from './layer-plan.ts';

/**
 * Layers that were cloned beside the generated one (as kas and bitbake-setup do) and that do not go with the release, by
 * what their conf/layer.conf says. Layers that are not there are left out. Problems: WRONG_LAYER_RELEASE.
 */
export async function wrongLayersOnDisk(folder: string, plan: LayerPlan): Promise<readonly Problem[]> {
  const problems: Problem[] = [];
  const layers = new Map(plan.machines.flatMap((machine) => machine.layers).map((layer) => [layer.collection, layer]));
  for (const { collection, folder: repository, path } of layers.values()) {
    const file = join(folder, repository, path, 'conf/layer.conf');
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
      return undefined;
    });
    if (text === undefined) continue;
    const series = seriesOf(text, collection);
    if (series === undefined || plan.release.layerSeries.some((name) => series.includes(name))) continue;
    problems.push({
      code: 'WRONG_LAYER_RELEASE',
      message: `the layer ${collection} in ${join(folder, repository)} is for ${series.join(', ')}; this build is for ${plan.release.name}`,
      hint: 'Check out the branch that the README of the generated layer names.',
      where: { file },
    });
  }
  return problems;
}

function seriesOf(text: string, collection: string): readonly string[] | undefined {
  const plain = text.replaceAll('\\\n', ' ');
  for (const [, name, value] of plain.matchAll(/^LAYERSERIES_COMPAT_(\S+)\s*\??=\s*"([^"]*)"/gm)) {
    if (name === collection) return value!.trim().split(/\s+/);
  }
  return undefined;
}
