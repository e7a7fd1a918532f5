import type { Command } from 'commander';
import { openProduct, planProduct } from '@boxship/compose';
import { defineAction, examples } from './define-action.ts';
import { formatPlan } from './plan-report.ts';
import { addSelectionOptions, selectionOf, type SelectionFlags } from './selection-options.ts';
import { version } from './version-number.ts';

/** `boxship plan`: what compose would make, to the byte. */
export function addPlan(program: Command): void {
  const command = addSelectionOptions(
    program
      .command('plan')
      .summary('show what compose would make, to the byte')
      .description(
        'Shows, for each variant, its inputs, the partition table before and after, the files added to the vendor rootfs,\n' +
          'and where the bytes of the store go. Needs boxship.lock; writes nothing but the cache; needs no network.\n' +
          'Ends with code 4 when a bundle does not fit.',
      ),
  );
  examples(command, [
    ['boxship plan', 'every variant'],
    ['boxship plan --variant basic --machine qemux86-64 -v', 'one of them, with every file and layer'],
    ['boxship plan --json', 'one JSON document: { "variants": [plan, …] }'],
  ]);
  defineAction<SelectionFlags>(command, async (session, options) => {
    const { cache, progress } = session;
    const allowToolVersions = options.allowToolVersions ?? false;
    const open = await openProduct(session.file, { cache, progress, version, allowToolVersions });
    const plans = await planProduct(open, selectionOf(options));
    const verbose = options.verbose ?? false;
    session.result({ variants: plans }, plans.map((plan) => formatPlan(plan, { verbose })).join('\n'));
  });
}
