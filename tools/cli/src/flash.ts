import { createHash } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { findRecipe } from '@boxship/catalog';
import { verifyRelease, type Release, type ReleaseFile } from '@boxship/compose';
import { readBmap, type RangeDigest } from '@boxship/disk';
import { describeTarget, flashImage, refuseTarget, type FlashTarget } from '@boxship/flash';
import { digestHex, formatByteSize, GiB, parseByteSize, UserError } from '@boxship/model';
import { defineAction, examples } from './define-action.ts';
import type { ErrorReport } from './error-report.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { readKeyFile } from './import-key.ts';
import type { Session } from './session.ts';

interface FlashFlags {
  readonly key: string;
  readonly yes?: true;
  readonly toFile?: true;
  readonly maxSize?: string;
}

/** Larger than the storage of the machines that images are made for, smaller than most disks of a workstation. */
const LARGEST = 128 * GiB;

/** Forms of the image of a disk, the quickest to write first. */
const FORMS = ['.img', '.img.zst', '.img.gz', '.img.xz'];

/** `boxship flash`: writes the image of a release to a card or another disk. */
export function addFlash(program: Command): void {
  const command = program
    .command('flash')
    .summary('write the image of a release to a card or a disk, and read it back')
    .description(
      'Proves the release as `verify` does, then writes the blocks of its block map to the device, one after the other, and\n' +
        'reads them back. Refuses a disk that is mounted, swap or otherwise in use, one that is too small, and one that is larger\n' +
        "than the machine's storage (128 GiB where nobody knows it). Asks for the name of the device first. A run that is stopped\n" +
        'leaves no partition table. Compressed images are unpacked on the way. Linux; needs the right to write to the device.',
    )
    .argument('<device>', 'a whole disk: /dev/sdb, /dev/mmcblk0, /dev/disk/by-id/...')
    .argument('<release>', 'folder of a release, or the image in it')
    .requiredOption('--key <file>', 'public key that the release must be signed with')
    .option('--yes', 'do not ask')
    .option('--max-size <size>', 'the largest device that may be written, as 256GiB')
    .option(
      '--to-file',
      '<device> is a file, made or overwritten: a disk for an emulator, or for another program to write',
    );
  examples(command, [
    ['boxship flash /dev/sdb deploy/acme-gateway-1.4.0/qemux86-64-docker-basic --key keys/release.pub', 'a card'],
    [
      'boxship flash --yes /dev/disk/by-id/usb-Acme_Reader-0:0 deploy/acme-gateway-1.4.0/... --key release.pub',
      'at a production line: always the same slot',
    ],
    ['boxship flash --to-file disk.raw deploy/acme-gateway-1.4.0/... --key release.pub', 'into a file'],
  ]);
  defineAction<FlashFlags, [string, string]>(
    command,
    async (session, flags, device, release) => {
      const publicKeyPem = await readKeyFile(flags.key);
      const verifying = session.progress.start(`verifying ${release}`);
      const verified = await verifyRelease(release, publicKeyPem, { onBytes: (bytes) => verifying.advance(bytes) }).finally(() => verifying.end()); // prettier-ignore
      const folder = (await stat(release)).isDirectory() ? release : dirname(release);
      const image = await imageOf(folder, verified.release, folder === release ? undefined : basename(release));
      if (flags.toFile) await writeFile(device, '', { flag: 'a' });
      const target = await describeTarget(device);
      refuseTarget(target, {
        imageSize: image.size,
        ...limitOf(verified.release!, flags),
        allowFile: flags.toFile ?? false,
      });
      if (!flags.yes && target.kind === 'disk') await confirm(session, target, image);
      await flashImage(target, image, session);
      const written = image.ranges.reduce((sum, { start, end }) => sum + end - start, 0);
      session.result(
        { flashed: true, device, image: image.path, imageSize: image.size, bytesWritten: written },
        `${device}: ${formatByteSize(written)} of ${basename(image.path)} written and read back\n`,
      );
      if (verified.release!.development) session.progress.warn('the release was signed with a development key: it is not for customers'); // prettier-ignore
    },
    classify,
  );
}

interface ImageToFlash {
  readonly path: string;
  readonly size: number;
  readonly ranges: readonly RangeDigest[];
}

/** The image of a disk in a release, with what is signed of its bytes. Errors: NO_DISK_IMAGE, WRONG_DIGEST. */
async function imageOf(folder: string, release: Release | undefined, only: string | undefined): Promise<ImageToFlash> {
  const files = release?.files ?? [];
  const candidates = FORMS.flatMap((form) => files.filter(({ name }) => name.endsWith(form)));
  const image = only === undefined ? candidates[0] : candidates.find(({ name }) => name === only);
  if (!image) {
    throw new UserError(
      'NO_DISK_IMAGE',
      only === undefined
        ? `the release ${folder} holds no image of a disk: ${files.map(({ name }) => name).join(', ')}`
        : `${only} is no image of a disk that ${join(folder, 'release.json')} names`,
      'Ask for one in boxship.yaml: artifacts: [raw].',
    );
  }
  const plain = image.unpacked ?? image;
  const map = files.find(({ name }) => name === `${image.name.replace(/\.img\.\w+$/, '.img')}.bmap`);
  const whole = { start: 0, end: plain.size, sha256: digestHex(plain.digest) };
  return { path: join(folder, image.name), size: plain.size, ranges: map ? await rangesOf(folder, map) : [whole] };
}

async function rangesOf(folder: string, map: ReleaseFile): Promise<readonly RangeDigest[]> {
  const text = await readFile(join(folder, map.name));
  if (createHash('sha256').update(text).digest('hex') !== digestHex(map.digest)) {
    throw new UserError('WRONG_DIGEST', `${map.name} was changed while it was read`, 'Run the command again.');
  }
  return readBmap(text.toString(), map.name).ranges.map(({ start, end, checksum }) => ({
    start,
    end,
    sha256: checksum!,
  }));
}

/** The largest device that may be written: what was asked for, else the largest storage that the recipe has. */
function limitOf(
  { variant }: Release,
  { maxSize }: FlashFlags,
): { readonly largest: number; readonly largestFrom: string } {
  if (maxSize !== undefined) return { largest: parseByteSize(maxSize), largestFrom: 'as --max-size says' };
  const { name } = variant.machine;
  const storage = findRecipe(name)?.hardware?.storage ?? [];
  const sizes = storage.map((one) => one.sizes?.map(parseByteSize));
  const known = sizes.length > 0 && sizes.every((one) => one !== undefined);
  return known
    ? { largest: Math.max(...sizes.flat()), largestFrom: `the largest storage of ${name}` }
    : { largest: LARGEST, largestFrom: 'which devices and their cards seldom have' };
}

/** Errors: NOT_CONFIRMED. */
async function confirm(
  { progress, signal }: Session,
  target: FlashTarget,
  { path, size }: ImageToFlash,
): Promise<void> {
  const { name, model, parts } = target;
  const content = parts.length === 0 ? 'no partitions' : parts.map((part) => `${part.name} ${formatByteSize(part.size)}`).join(', '); // prettier-ignore
  progress.note(
    `${target.path}: ${[model, formatByteSize(target.size), content].filter(Boolean).join('; ')}\n` +
      `All of it will be lost. The image is ${basename(path)}, ${formatByteSize(size)}.`,
  );
  if (process.stdin.isTTY !== true) {
    throw new UserError('NOT_CONFIRMED', 'there is no terminal to ask whether this is the right device', 'Add --yes.');
  }
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await lines.question(`Type the name of the device (${name}) to write to it: `, { signal });
    if (answer.trim() === name || answer.trim() === target.path) return;
    throw new UserError('NOT_CONFIRMED', `"${answer.trim()}" is not ${name}: nothing was written`);
  } finally {
    lines.close();
  }
}

/** Problems of what was given; everything else that a user can meet is a failed verification. */
const INPUT_PROBLEMS = new Set([
  'BAD_KEY', 'BAD_SIZE', 'DEVICE_IN_USE', 'DEVICE_READ_ONLY', 'DEVICE_TOO_LARGE', 'NO_DEVICE', 'NO_DISK_IMAGE', 'NOT_A_DEVICE',
  'NOT_A_WHOLE_DISK', 'NOT_CONFIRMED', 'NOT_FOUND', 'UNSUPPORTED_KEY',
]); // prettier-ignore

function classify({ problems, exitCode }: ErrorReport): ExitCode {
  if (exitCode !== exitCodes.userError) return exitCode;
  return problems.every(({ code }) => INPUT_PROBLEMS.has(code) || /^E[A-Z]+$/.test(code))
    ? exitCode
    : exitCodes.verificationFailed;
}
