import { bitbakeWords } from '@boxship/yocto';
import { devicePath } from './device-path.ts';
import type { LayerFile, SharedValues } from './layer-files.ts';
import type { LayerPlan, PlannedEngine } from './layer-plan.ts';
import { renderLayerFile } from './layer-template.ts';

/** The package with an engine's configuration; nothing when the engine needs none. */
export function engineConfigFiles(
  plan: LayerPlan,
  engine: PlannedEngine,
  shared: SharedValues,
  license: LayerFile,
): { readonly files: readonly LayerFile[]; readonly packages: readonly string[] } {
  const { configuration, configurationChanges = [], replacedPackages } = engine.needs;
  if (configuration.length === 0) return { files: [], packages: [] };
  const name = `${shared.name}-${engine.name}-config`;
  const folder = `recipes-containers/${name}`;
  const files = configuration.map(({ path, text }) => ({ path, text, source: path.slice(1).replaceAll('/', '-').replace(':', '-') }));
  return {
    packages: [name],
    files: [
      {
        path: `${folder}/${name}_${plan.packageVersion}.bb`,
        text: renderLayerFile('recipes-containers/[name]-[engine]-config/[name]-[engine]-config_[version].bb', {
          ...shared,
          files: files.map(({ path, source }) => ({ source, target: devicePath(path) })),
          conffiles: bitbakeWords(files.map(({ path }) => devicePath(path))),
          replaced: replacedPackages.join(' '),
          changedPackages: [...new Set(configurationChanges.map((change) => change.package))].sort().join(' '),
          changes: configurationChanges.map(({ path, edits, line }) => ({ target: devicePath(path), edits, line })),
        }),
      },
      { path: `${folder}/files/LICENSE`, text: license.text },
      ...files.map(({ source, text }) => ({ path: `${folder}/files/${source}`, text })),
    ],
  };
} // prettier-ignore
