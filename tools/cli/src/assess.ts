import { InvalidArgumentError, Option, type Command } from 'commander';
import { assessProduct } from '@boxship/assess';
import { UserError, parseByteSize } from '@boxship/model';
import { formatAssessment } from './assess-report.ts';
import { defineAction, examples } from './define-action.ts';
import { exitCodes } from './exit-codes.ts';

interface AssessFlags {
  readonly variant?: readonly string[];
  readonly machine?: readonly string[];
  /** False with `--no-base`. */
  readonly base: string | boolean;
  readonly kernelConfig?: string;
  readonly ram?: number;
  readonly flash?: number;
  readonly verbose?: true;
}

/** `boxship assess`: whether containers belong on this device. */
export function addAssess(program: Command): void {
  const command = program
    .command('assess')
    .summary('tell whether containers belong on a device, and why')
    .description(
      'Judges each variant on each of its machines: processor, kernel options, base image, RAM, flash and its wear, boot time.\n' +
        'Reads the product file, its Compose files and the recipe of the machine, and as far as they are there boxship.lock and\n' +
        'the base image; what could not be known is said. Writes nothing but the cache, needs no network.\n' +
        'Ends with code 5 when containers do not belong there ("not here"), or not on this base image as it is.',
    )
    .addOption(new Option('--variant <names...>', 'only these variants').default(undefined, 'all'))
    .addOption(new Option('--machine <names...>', 'only these machines').default(undefined, 'all'))
    .option('--base <file>', "a base image in place of the product file's")
    .option('--no-base', 'read no base image')
    .option('--kernel-config <file>', 'a .config, a copy of /proc/config.gz, or a kernel image with CONFIG_IKCONFIG')
    .option('--ram <size>', "the RAM, as 512MiB, in place of the recipe's", size)
    .option('--flash <size>', "the flash, as 4GiB, in place of the recipe's", size)
    .option('-v, --verbose', 'list every missing kernel option, every check and every assumption with its source');
  examples(command, [
    ['boxship assess', 'every variant on every machine'],
    ['boxship assess --machine qemuarm64 --ram 512MiB --flash 4GiB', 'the same machine with less'],
    ['boxship assess --no-base --kernel-config build/.config', 'before there is an image: the kernel of a Yocto build'],
    ['boxship assess --json', 'one JSON document: { "assessments": [...] }; code 5 stops a pipeline'],
  ]);
  defineAction<AssessFlags>(command, async ({ file, cache, progress, result }, options) => {
    const { variant, machine, base, kernelConfig, ram, flash } = options;
    const assessments = await assessProduct(file, {
      cache,
      progress,
      ...(variant ? { variants: variant } : {}),
      ...(machine ? { machines: machine } : {}),
      ...(base === true || base === undefined ? {} : { base: base as string | false }),
      ...(kernelConfig === undefined ? {} : { kernelConfig }),
      ...(ram === undefined ? {} : { ram }),
      ...(flash === undefined ? {} : { flash }),
    });
    const verbose = options.verbose ?? false;
    result({ assessments }, assessments.map((one) => formatAssessment(one, { verbose })).join('\n'));
    return assessments.some(({ verdict }) => verdict.target === 'not-here') ? exitCodes.notHere : exitCodes.ok;
  });
}

function size(text: string): number {
  try {
    return parseByteSize(text);
  } catch (error) {
    if (error instanceof UserError) throw new InvalidArgumentError(error.problems[0]!.hint ?? error.message);
    throw error;
  }
}
