import { Command } from 'commander';
import { addAssess } from './assess.ts';
import { addBoot } from './boot.ts';
import { addCompose } from './compose.ts';
import { exitCodeTable } from './exit-codes.ts';
import { addFlash } from './flash.ts';
import { addImport } from './import.ts';
import { addImportKey } from './import-key.ts';
import { addInspect } from './inspect.ts';
import { addKeygen } from './keygen.ts';
import { addLayer } from './layer.ts';
import { addLock } from './lock.ts';
import { addMachines } from './machines.ts';
import { addPlan } from './plan.ts';
import { addRebase } from './rebase.ts';
import { addSchema } from './schema.ts';
import { addStore } from './store.ts';
import { addPull, addPush } from './transfer.ts';
import { addUpdateApps } from './update-apps.ts';
import { addVerify } from './verify.ts';
import { addVersion } from './version.ts';
import { version } from './version-number.ts';

/** The command line of `boxship`. `quietUsage`: an error of usage is thrown, not printed. */
export function createProgram({ quietUsage }: { readonly quietUsage: boolean }): Command {
  const program = new Command('boxship')
    .description(
      "Puts application containers into a vendor's base image: from a product file (boxship.yaml) to signed images that\n" +
        'boot with their apps already there. No root, no daemon; after `lock`, no network.',
    )
    .usage('<command> [options]')
    .option('-f, --file <file>', 'the product file', 'boxship.yaml')
    .option('--cache <folder>', 'where downloads and inventories are kept (default: $BOXSHIP_CACHE, ~/.cache/boxship)')
    .option('--json', 'print one JSON document on standard output, errors too')
    .option('-q, --quiet', 'print nothing but errors')
    .version(version, '-V, --version', 'print the version number')
    .option('--no-color', 'no colours (so does NO_COLOR in the environment)')
    .configureHelp({ showGlobalOptions: true, helpWidth: 120 })
    .helpCommand('help [command]', 'show the help of a command')
    .showSuggestionAfterError()
    .exitOverride();
  if (quietUsage) program.configureOutput({ outputError: () => {} });
  for (const add of [
    addLock,
    addPlan,
    addCompose,
    addLayer,
    addStore,
    addUpdateApps,
    addRebase,
    addPush,
    addPull,
    addVerify,
    addFlash,
    addBoot,
    addAssess,
    addInspect,
    addMachines,
    addImport,
    addKeygen,
    addImportKey,
    addSchema,
    addVersion,
  ]) {
    add(program);
  }
  const codes = exitCodeTable.map(([code, meaning]) => `  ${String(code).padEnd(4)} ${meaning}\n`).join('');
  program.addHelpText(
    'after',
    `\nA first run:\n  boxship keygen --development\n  boxship lock\n  boxship plan\n  boxship compose\n\nExit codes:\n${codes}`,
  );
  return program;
}
