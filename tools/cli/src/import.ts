import { writeFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { importProduct } from '@boxship/catalog';
import { UserError, formatProblem } from '@boxship/model';
import { defineAction, examples } from './define-action.ts';
import { shownPath } from './shown-path.ts';

interface ImportFlags {
  readonly product?: string;
  readonly machine: string;
  readonly base?: string;
  readonly platform?: string;
}

/** `boxship import`: a product file of what is there already. */
export function addImport(program: Command): void {
  const command = program
    .command('import')
    .summary('make a product file of a Compose file, a tcbuild.yaml or docker save archives')
    .description(
      'Writes the product file (-f, never over one that is there) from Compose files, a tcbuild.yaml of TorizonCore Builder,\n' +
        'and archives of docker save. What has no place in a product file is told with its line, and nothing else is changed.',
    )
    .argument('<source...>', 'Compose files (each over the one before), one tcbuild.yaml, archives (.tar, .tar.gz)')
    .option('--product <name>', 'name of the product (default: that of the folder)')
    .option('--machine <name>', 'name of the machine; that of a recipe brings what is known of it', 'device')
    .option('--base <file>', "the vendor's image")
    .option('--platform <platform>', 'platform of the images, as linux/arm64');
  examples(command, [
    ['boxship import compose.yaml images.tar --machine qemux86-64 --base vendor.img', 'of what runs on a developer’s machine'],
    ['boxship import tcbuild.yaml --machine verdin-imx8mp', 'from TorizonCore Builder'],
  ]); // prettier-ignore
  defineAction<ImportFlags, [string[] & string]>(command, async (session, options, sources) => {
    const { cache, progress } = session;
    const file = resolve(session.file);
    const folder = dirname(file);
    const product = options.product ?? (basename(folder).toLowerCase().replace(/[^a-z0-9._-]+/g, '-').replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, '') || 'product'); // prettier-ignore
    const { base, platform, machine } = options;
    const imported = await importProduct(sources as readonly string[], {
      folder,
      product,
      machine,
      cache,
      ...(base === undefined ? {} : { base: resolve(base) }),
      ...(platform === undefined ? {} : { platform }),
    });
    await writeFile(file, imported.text, { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
      throw new UserError('FILE_EXISTS', `there is a ${shownPath(file)} already`, 'Name another: -f FILE, or move it away.');
    }); // prettier-ignore
    for (const note of imported.notes) progress.note(formatProblem(note));
    session.result({ file, notes: imported.notes }, `wrote ${shownPath(file)}; next: boxship keygen, boxship lock, boxship plan\n`); // prettier-ignore
  });
}
