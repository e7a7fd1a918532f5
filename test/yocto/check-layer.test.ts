import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect } from 'vitest';
import { dependencyLayers, inBuild, makeBuildFolder } from './build-folder.ts';
import type { Release } from './checkouts.ts';
import { META_BOXSHIP, engineNames, generateLayer, releaseNames, type GeneratedLayer } from './layers-under-test.ts';
import { restrictedSet, worldConfiguration } from './restricted-set.ts';
import { proof, type Findings } from './results.ts';

for (const release of releaseNames) {
  proof(`${release}/meta-boxship/check-layer`, { release, inputs: () => [META_BOXSHIP] }, () =>
    checkLayer(release, META_BOXSHIP, []),
  );
  for (const engine of engineNames) {
    describe(`${release}, ${engine}`, () => {
      let layer: GeneratedLayer;
      beforeAll(async () => {
        layer = await generateLayer(release, engine);
      });
      const inputs = () => [META_BOXSHIP, layer.path];
      proof(`${release}/${engine}/check-layer`, { release, inputs }, () =>
        checkLayer(release, layer.path, [META_BOXSHIP]),
      );
      proof(`${release}/${engine}/check-layer-opted-in`, { release, inputs }, () =>
        checkLayer(release, layer.path, [META_BOXSHIP], layer.optIn),
      );
    });
  }
}

/**
 * The real yocto-check-layer, of one layer alone. It can be given several, but parses anew for each of them: what a layer adds
 * to the configuration is what bitbake's cache goes by. Only the parse before the layer is added can be shared, and is: without
 * the opt-in all layers of a release have one build folder, and one meta-boxship as their dependency.
 *
 * `optIn`: file of the layer with what a product includes; its settings are in force before and after the layer is added, as in
 * a distro that was made for the product, so that only the layer makes a difference.
 */
async function checkLayer(
  release: Release,
  layer: string,
  dependencies: readonly string[],
  optIn?: string,
): Promise<Findings> {
  const set = await restrictedSet(release);
  const optedIn = optIn === undefined ? [] : [`require ${optIn}`];
  const build = await makeBuildFolder(release, optIn === undefined ? 'check' : `check-${layer.split('/').at(-1)}`, {
    recipes: set.recipes,
    configuration: [
      'DISTRO_FEATURES:append = " virtualization seccomp ipv6 k3s"',
      // what the checker asks for where it compares signatures: its other runs then take the same parse
      'BB_SIGNATURE_HANDLER = "OEBasicHash"',
      ...worldConfiguration(set),
      ...optedIn,
    ],
  });
  const log = join(build.path, 'check-layer.log');
  await rm(log, { force: true });
  const { code, text, seconds } = await inBuild(build, [
    'yocto-check-layer',
    '-d',
    '--no-auto-dependency',
    '--dependency',
    ...dependencyLayers(release),
    ...dependencies,
    '-o',
    log,
    '--',
    layer,
  ]);
  const report = await readFile(log, 'utf8').catch(() => text);
  const failed = report.split('\n').filter((line) => /\b(FAIL|ERROR|Error)\b/.test(line));
  expect({ code, failed, report: code === 0 ? '' : report.slice(-6000) }).toEqual({ code: 0, failed: [], report: '' });
  const passed = /(\d+) PASS|Ran (\d+) tests?/.exec(report);
  return { tests: Number(passed?.[1] ?? passed?.[2] ?? 0), minutes: Math.round(seconds / 6) / 10 };
}
