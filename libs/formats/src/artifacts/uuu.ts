import { createHash } from 'node:crypto';
import { writeFileAtomically } from '@boxship/host';
import { isExtended } from '@boxship/disk';
import { formatByteSize, MiB, UserError, type ArtifactOptions, type ByteRange } from '@boxship/model';
import type { ArtifactFile } from '../artifact-file.ts';
import type { DiskImageForm, PlannedDiskImage, WrittenDiskImage } from '../disk-image-form.ts';
import { rawExchange } from '../raw-exchange.ts';
import { wholeSparse, writeWholeSparse } from './android-sparse.ts';

/** What uuu runs when it is given the folder. */
const SCRIPT = 'uuu.auto';

interface UuuOptions {
  /** Where the image goes: the eMMC or the card, by the names that NXP's U-Boot has for them. */
  readonly device: 'emmc' | 'sd';
  /** Write the boot loader into the first boot partition of the eMMC, too, and start from there. */
  readonly bootPartition: boolean;
}

/** A folder for NXP's uuu: a script, the boot loader that the module starts over USB, and the image as a sparse file. */
export const uuu: DiskImageForm = {
  name: 'uuu',
  readOptions: ({ device = 'emmc', bootPartition = device === 'emmc' }) => {
    if (device === 'sd' && bootPartition === true) {
      throw new UserError('UUU_BOOT_PARTITION', 'a card has no boot partition', 'Leave bootPartition out, or write device: emmc.'); // prettier-ignore
    }
    return { format: 'uuu', device: device as string, bootPartition: bootPartition === true };
  },
  describe: () => 'uuu',
  programs: () => [],
  async files(image) {
    await findBootLoader(image);
    return [SCRIPT, bootName(image), wholeSparse(image).name];
  },
  bytesBeside: (image) => wholeSparse(image).bytes + BOOT_LIMIT,
  async write(image, options, sink) {
    const sparse = await writeWholeSparse(image, sink);
    const range = await findBootLoader(image);
    const boot = await writeBytes(image, bootName(image), await image.base.content.read(range.start, range.end - range.start)); // prettier-ignore
    const script = scriptOf(optionsOf(options), boot.name, sparse.name);
    return [await writeBytes(image, SCRIPT, Buffer.from(script)), boot, sparse];
  },
  exchange: rawExchange,
};

function optionsOf(options: ArtifactOptions): UuuOptions {
  return options as unknown as UuuOptions; // `readOptions` made them
}

function bootName({ name }: PlannedDiskImage): string {
  return name.replace(/\.img$/, '.boot.bin');
}

async function writeBytes(image: WrittenDiskImage, name: string, bytes: Uint8Array): Promise<ArtifactFile> {
  return await image.derive(name, async (path) => {
    await writeFileAtomically(path, bytes);
    return { size: bytes.length, digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}` };
  });
}

/** So far NXP's own scripts let uuu look for the header of a boot loader (`-scanlimited 0x800000`). */
const BOOT_LIMIT = 8 * MiB;
/** i.MX boot ROMs look for a loader at whole KiB: 1 (i.MX 6), 32 or 33 (i.MX 8). */
const BOOT_ALIGNMENT = 1024;

/**
 * The vendor's boot loader: what is not zero between the partition table and the first partition of the vendor's disk, where
 * the ROM of an i.MX reads it (wks: `--source rawcopy --no-table --align 33`). Errors: UUU_NO_BOOT_LOADER.
 */
async function findBootLoader({ base: { content, table } }: PlannedDiskImage): Promise<ByteRange> {
  const gapStart = Math.max(0, ...table.metadata.primary.map(({ end }) => end).filter((end) => end <= MiB));
  const starts = table.partitions.filter(({ type }) => !isExtended(type)).map(({ start }) => start);
  const limit = Math.min(content.size, BOOT_LIMIT, ...starts);
  const bytes = limit > gapStart ? await content.read(gapStart, limit - gapStart) : new Uint8Array();
  const first = bytes.findIndex((byte) => byte !== 0);
  if (first < 0) {
    throw new UserError(
      'UUU_NO_BOOT_LOADER',
      `nothing lies between the partition table and the first partition of the base image (${formatByteSize(gapStart)} to ${formatByteSize(limit)})`,
      'uuu has to start a boot loader over USB: give a base image with the one of the i.MX in that place, as the BSP makes it.',
    );
  }
  const last = bytes.findLastIndex((byte) => byte !== 0);
  const start = gapStart + first - ((gapStart + first) % BOOT_ALIGNMENT);
  return { start: Math.max(gapStart, start), end: Math.min(limit, Math.ceil((gapStart + last + 1) / BOOT_ALIGNMENT) * BOOT_ALIGNMENT) }; // prettier-ignore
}

/**
 * After uuu's built-in scripts `emmc_all` and `sd_all` (nxp-imx/mfgtools, uuu/emmc_burn_all.lst). Lines of a protocol that
 * the module does not speak are passed over, so that one script serves every i.MX: SDP and SDPU those with an older ROM, SDPS
 * those whose ROM takes a stream, SDPV the second stage.
 */
function scriptOf({ device, bootPartition }: UuuOptions, boot: string, image: string): string {
  const scan = '-scanlimited 0x800000';
  const bootLines = [
    `FB: flash -scanterm ${scan} bootloader ${boot}`,
    'FB: ucmd if env exists emmc_ack; then ; else setenv emmc_ack 0; fi;',
    'FB: ucmd mmc partconf ${emmc_dev} ${emmc_ack} 1 0',
  ];
  const lines = [
    'uuu_version 1.4.149',
    '',
    '# the boot ROM takes the boot loader over USB',
    `SDP: boot -f ${boot} ${scan}`,
    `SDPS: boot -scanterm -f ${boot} ${scan}`,
    'SDPU: delay 1000',
    `SDPU: write -f ${boot} -offset 0x57c00`,
    `SDPU: jump ${scan}`,
    'SDPV: delay 1000',
    `SDPV: write -f ${boot} -skipspl -scanterm ${scan}`,
    `SDPV: jump ${scan}`,
    '',
    '# its fastboot takes the image; blocks that do not matter are skipped',
    'FB: ucmd setenv fastboot_dev mmc',
    `FB: ucmd setenv mmcdev \${${device}_dev}`,
    `FB: ucmd mmc dev \${${device}_dev}`,
    `FB: flash all ${image}`,
    ...(bootPartition ? bootLines : []),
    'FB: done',
  ];
  return `${lines.join('\n')}\n`;
}
