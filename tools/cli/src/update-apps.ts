import type { Command } from 'commander';
import { updateApps } from '@boxship/compose';
import { defineAction, examples } from './define-action.ts';
import { addExchangeOptions, exchangeRelease, type ExchangeFlags } from './exchange.ts';

interface UpdateFlags extends ExchangeFlags {
  readonly variant?: string;
}

/** `boxship update-apps`: new apps in a release that was made before. */
export function addUpdateApps(program: Command): void {
  const command = addExchangeOptions(
    program
      .command('update-apps')
      .summary('make a release out of an earlier one: new apps, everything else byte for byte as it was')
      .description(
        'Verifies a release (raw or tezi), and makes a new one whose store partition holds the apps of the product file and its\n' +
          'lock. Vendor partitions, rootfs and data partition stay as they are, byte for byte; the store partition keeps its place\n' +
          'and size, and the new store must fit. The vendor image is not needed; the device socket in the rootfs must take the\n' +
          'store. The new release is signed and goes to <out>/<product>-<version>/<machine>-<engine>-<variant>/, whole or not at\n' +
          'all.',
      )
      .argument('<release>', 'folder of a release, or one file in it')
      .option('--variant <name>', 'the variant whose apps it gets (default: the one that the release has)'),
  );
  examples(command, [
    ['boxship update-apps deploy/acme-gateway-1.4.0/qemux86-64-docker-pro', 'the apps of today, on the base of then'],
    [
      'boxship update-apps --dry-run deploy/acme-gateway-1.4.0/qemux86-64-docker-pro',
      'does it fit, and what would stay?',
    ],
  ]);
  defineAction<UpdateFlags, [string]>(command, async (session, flags, path) => {
    const { variant } = flags;
    await exchangeRelease(session, flags, (open, options) =>
      updateApps(open, path, { ...options, ...(variant === undefined ? {} : { variant }) }),
    );
  });
}
