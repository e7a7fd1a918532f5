import { bitbakeRepository } from '@boxship/yocto';
import { repositoriesOf } from './kas-files.ts';
import type { LayerFile } from './layer-files.ts';
import { engineNames, type LayerPlan, type PlannedMachine } from './layer-plan.ts';

/** A configuration of bitbake-setup for each machine, in releases that have it (bitbake setup-schema/). */
export function bitbakeSetupFiles(plan: LayerPlan): readonly LayerFile[] {
  if (!plan.release.hasBitbakeSetup) return [];
  return plan.machines.map((machine) => ({
    path: `bitbake-setup/${machine.name}.conf.json`,
    text: `${JSON.stringify(setupDocument(plan, machine), null, 2)}\n`,
  }));
}

function setupDocument(plan: LayerPlan, machine: PlannedMachine): object {
  const { section, release } = plan;
  const source = (uri: string, branch: string, commit: string | undefined) => ({
    'git-remote': { uri, branch, rev: commit ?? branch },
  });
  return {
    description: `${plan.product} on ${machine.description}`,
    ...(release.endOfLife === undefined ? {} : { expires: release.endOfLife }),
    sources: {
      bitbake: source(bitbakeRepository, release.bitbakeBranch, machine.bitbakeCommit),
      ...Object.fromEntries(
        repositoriesOf(machine.layers).map(([folder, [first]]) => [
          folder,
          source(first!.repository, first!.branch, first!.commit),
        ]),
      ),
    },
    'bitbake-setup': {
      configurations: [
        {
          name: `${section.name}-${machine.name}`,
          description: `Container host of ${plan.product} with ${engineNames(plan)}`,
          'setup-dir-name': `${section.name}-${machine.name}`,
          'bb-layers': machine.layers.map(({ folder, path }) => (path === '.' ? folder : `${folder}/${path}`)),
          'bb-layers-file-relative': ['../../meta-boxship', '..'],
          'oe-fragments': [
            `machine/${machine.machine}`,
            ...(section.distro === 'nodistro' ? [] : [`distro/${section.distro}`]),
            `${section.name}/containers`,
          ],
        },
      ],
    },
    version: '1.0',
  };
}
