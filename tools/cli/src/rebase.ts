import type { Command } from 'commander';
import { rebase } from '@boxship/compose';
import { defineAction, examples } from './define-action.ts';
import { addExchangeOptions, exchangeRelease, type ExchangeFlags } from './exchange.ts';

interface RebaseFlags extends ExchangeFlags {
  readonly base: string;
}

/** `boxship rebase`: another base image under the apps of a release that was made before. */
export function addRebase(program: Command): void {
  const command = addExchangeOptions(
    program
      .command('rebase')
      .summary('make a release out of an earlier one: new base image, the same apps byte for byte')
      .description(
        'Verifies a release (raw or tezi), and makes a new one with another base image under the same store and data partition,\n' +
          'byte for byte. The new base gets the device socket, or has one that takes the store; it must be for the same machine.\n' +
          'Neither the images of the apps nor a network is needed. The version stays, so another folder than that of the release\n' +
          'must be named with --out. The new release is signed and appears whole or not at all.',
      )
      .argument('<release>', 'folder of a release, or one file in it')
      .requiredOption('--base <file>', "the new base image, a vendor's file or folder"),
  );
  examples(command, [
    [
      'boxship rebase deploy/acme-gateway-1.4.0/qemux86-64-docker-pro --base bsp/vendor-2.img --out rebased',
      'security fixes of the vendor, the apps as they were tested',
    ],
  ]);
  defineAction<RebaseFlags, [string]>(command, async (session, flags, path) => {
    await exchangeRelease(session, flags, (open, options) => rebase(open, path, { ...options, base: flags.base }));
  });
}
