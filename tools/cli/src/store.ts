import { dirname, resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { openProduct, storeProduct, type WrittenBundle } from '@boxship/compose';
import { formatByteSize } from '@boxship/model';
import { openSigner, refuseBakedSecrets, refuseDevelopmentKey, warnOfDevelopmentKey } from './compose.ts';
import { defineAction, examples } from './define-action.ts';
import { addSelectionOptions, selectionOf, type SelectionFlags } from './selection-options.ts';
import { shownPath } from './shown-path.ts';
import { formatTable } from './table.ts';
import { version } from './version-number.ts';

interface StoreFlags extends SelectionFlags {
  readonly out?: string;
  readonly compression: 'none' | 'zst';
  readonly release?: true;
}

/** `boxship store`: our two partitions as files, for a build that makes the image itself. */
export function addStore(program: Command): void {
  const command = addSelectionOptions(
    program
      .command('store')
      .summary('write the store and data partition of every variant, for an image that bitbake makes')
      .description(
        'Writes the two partitions that compose would put into an image, byte for byte, as files: <bundle>.store.ext4 and\n' +
          '<bundle>.data.ext4, and <bundle>.store.json with their sizes and digests, all signed, in\n' +
          '<out>/<product>-<version>/<machine>-<engine>-<variant>/, which appears whole or not at all. boxship_bundle.bbclass of\n' +
          'meta-boxship takes them. A machine without a base image is taken as what the generated layer builds.',
      ),
  )
    .option('--out <folder>', 'where the files go (default: store/ beside the product file)')
    .addOption(new Option('--compression <kind>', 'of the store').choices(['none', 'zst']).default('none'))
    .option('--release', 'refuse a development key: what is made may leave the house');
  examples(command, [
    ['boxship store', 'every variant'],
    ['boxship store --variant pro --compression zst --out /srv/bundles', 'one variant, packed, elsewhere'],
    ['boxship store --json', 'one JSON document with the digests that a bbRecipe pins'],
  ]);
  defineAction<StoreFlags>(command, async (session, options) => {
    const { cache, progress, signal } = session;
    const allowToolVersions = options.allowToolVersions ?? false;
    const open = await openProduct(session.file, { cache, progress, version, allowToolVersions });
    if (options.release) {
      refuseDevelopmentKey(open);
      refuseBakedSecrets(open, selectionOf(options));
    }
    const out = options.out ?? resolve(dirname(open.product.file), 'store');
    const written = await storeProduct({ ...open, signer: () => openSigner(open, session) }, selectionOf(options), {
      out,
      compression: options.compression,
      signal,
    });
    session.result({ bundles: written.map(({ folder, bundle }) => ({ folder, ...bundle })) }, formatWritten(written));
    if (open.isDevelopment) warnOfDevelopmentKey(session);
  });
}

function formatWritten(written: readonly WrittenBundle[]): string {
  return written
    .map(({ folder, bundle: { partitions } }) => {
      const rows = [partitions.store, partitions.data].map(({ file, size, digest }) => [
        file.name,
        formatByteSize(size),
        digest,
      ]);
      const table = formatTable(['file', 'partition', 'digest'], rows, [1]).replace(/^/gm, '  ');
      return `stored  ${shownPath(folder)}\n${table}\n`;
    })
    .join('\n');
}
