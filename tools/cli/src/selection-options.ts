import { Option, type Command } from 'commander';
import type { Selection } from '@boxship/compose';

export interface SelectionFlags {
  readonly variant?: readonly string[];
  readonly machine?: readonly string[];
  readonly allowToolVersions?: true;
  readonly verbose?: true;
}

/** Options that `plan` and `compose` share. */
export function addSelectionOptions(command: Command): Command {
  return command
    .addOption(new Option('--variant <names...>', 'only these variants').default(undefined, 'all'))
    .addOption(new Option('--machine <names...>', 'only these machines').default(undefined, 'all'))
    .option('--allow-tool-versions', 'take other versions of host programs than boxship.lock has; bytes may differ')
    .option('-v, --verbose', 'list every change of the rootfs and every layer');
}

export function selectionOf({ variant, machine }: SelectionFlags): Selection {
  return { ...(variant ? { variants: variant } : {}), ...(machine ? { machines: machine } : {}) };
}
