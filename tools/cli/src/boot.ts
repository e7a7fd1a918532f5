import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidArgumentError, type Command } from 'commander';
import { startMachine } from '@boxship/boot';
import type { Release } from '@boxship/compose';
import { openDiskImage } from '@boxship/disk';
import { isRawImage } from '@boxship/formats';
import { UserError, parseByteSize } from '@boxship/model';
import { defineAction, examples } from './define-action.ts';

interface BootFlags {
  readonly until?: RegExp;
  readonly timeout: number;
  readonly firmware: 'uefi' | 'direct';
  readonly diskSize?: number;
  readonly memory?: number;
  readonly keep?: string;
}

/** Longest time that Node's timers take: 2^31 - 1 ms, 24 days. */
const FOREVER = 2 ** 31 - 1;

/** `boxship boot`: an artifact in QEMU, without a network card. */
export function addBoot(program: Command): void {
  const command = program
    .command('boot')
    .summary('boot an artifact in QEMU and show its serial console')
    .description(
      'Boots a disk image (or the one in a release folder; compressed ones too) in QEMU without a network card, shows its\n' +
        'serial console, and pulls the plug when --until matches, at Ctrl-C, or when the machine switches itself off.\n' +
        'The image is not changed. Needs qemu-system-x86 and, for UEFI, ovmf; uses KVM when it is there.',
    )
    .argument('<artifact>', 'disk image, or folder of a release')
    .option('--until <pattern>', 'end with success when a line matches this regular expression', parsePattern)
    .option('--timeout <seconds>', 'how long to wait for --until', parseSeconds, 600)
    .option(
      '--firmware <kind>',
      'uefi: as the board boots; direct: QEMU loads the kernel, quicker',
      parseFirmware,
      'uefi',
    )
    .option('--disk-size <size>', 'a larger disk than the image, as 8GiB', parseSize)
    .option('--memory <size>', 'memory of the machine, as 2GiB (default: 1GiB)', parseSize)
    .option('--keep <file>', 'keep what the machine writes in this qcow2 file, and go on from it the next time');
  examples(command, [
    ['boxship boot deploy/acme-gateway-1.4.0/qemux86-64-docker-basic', 'watch it until Ctrl-C'],
    ["boxship boot gateway.img --until 'gateway: ready' --timeout 300", 'in a test: did the app start?'],
    [
      'boxship boot gateway.img --disk-size 8GiB --keep disk.qcow2',
      'on a larger disk, twice: the data partition grows',
    ],
  ]);
  defineAction<BootFlags & { json?: true }, [string]>(command, async (session, options, artifact) => {
    const { cache, progress, signal } = session;
    await using image = await openDiskImage(await imageOf(artifact), { cache, progress });
    signal.throwIfAborted();
    await using machine = await startMachine({
      image: image.path,
      firmware: options.firmware,
      ...(options.diskSize === undefined ? {} : { diskSize: options.diskSize }),
      ...(options.memory === undefined ? {} : { memory: options.memory }),
      ...(options.keep === undefined ? {} : { overlay: options.keep }),
      onLine: (line) => session.say(`${line}\n`),
    });
    const { until } = options;
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(new Error('interrupted')), { once: true });
    });
    const hit = until
      ? await Promise.race([machine.console.waitFor(until, options.timeout * 1000), aborted])
      : await Promise.race([machine.ended(FOREVER), aborted]).then(() => undefined);
    const seconds = machine.seconds();
    const { acceleration } = machine;
    session.result(
      { ...(hit === undefined ? {} : { hit }), seconds, acceleration, log: machine.console.text() },
      hit === undefined
        ? `the machine switched off after ${seconds.toFixed(1)} s (${acceleration})\n`
        : `matched after ${seconds.toFixed(1)} s (${acceleration}): ${hit}\n`,
    );
  });
}

/** The disk image that is meant. Errors: NOT_FOUND, NO_IMAGE. */
export async function imageOf(artifact: string): Promise<string> {
  const info = await stat(artifact).catch(() => undefined);
  if (!info)
    throw new UserError('NOT_FOUND', `there is no ${artifact}`, 'Name a disk image or a folder below deploy/.');
  if (!info.isDirectory()) return artifact;
  const text = await readFile(join(artifact, 'release.json'), 'utf8').catch(() => undefined);
  if (text === undefined) {
    throw new UserError('NO_IMAGE', `${artifact} is not the folder of a release`, 'Name a disk image, or a folder that boxship compose wrote.'); // prettier-ignore
  }
  const { files } = JSON.parse(text) as Release;
  const file = files.find(({ name }) => isRawImage(name));
  if (!file) {
    const names = files.map(({ name }) => name).join(', ');
    throw new UserError('NO_IMAGE', `${artifact} has no disk image, only ${names}`, 'Add raw to artifacts: and compose again.'); // prettier-ignore
  }
  return join(artifact, file.name);
}

function parsePattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && seconds * 1000 <= FOREVER) return seconds;
  throw new InvalidArgumentError('It must be a number of seconds above 0.');
}

function parseFirmware(text: string): 'uefi' | 'direct' {
  if (text === 'uefi' || text === 'direct') return text;
  throw new InvalidArgumentError('It must be uefi or direct.');
}

function parseSize(text: string): number {
  try {
    return parseByteSize(text);
  } catch (error) {
    throw new InvalidArgumentError((error as UserError).message);
  }
}
