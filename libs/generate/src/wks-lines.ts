import type { RecipePartition } from '@boxship/catalog';
import { KiB, MiB, parseByteSize } from '@boxship/model';
import type { YoctoRelease } from '@boxship/yocto';
import type { LayerPlan, PlannedMachine } from './layer-plan.ts';

const DEFAULT_ALIGNMENT = 4 * KiB; // wic's own
/** GPT type of a Linux file system (UEFI registry, Discoverable Partitions Specification). */
const LINUX_FILESYSTEM = '0FC63DAF-8483-4772-8E79-3D69D8477DE4';
const OUR_ALIGNMENT = 4096; // KiB: the erase block of common eMMC and SD cards, as compose has it

/** The partitions of a machine in the language of wic (openembedded-core ref-manual/kickstart), ours behind them. */
export function wksLines(plan: LayerPlan, machine: PlannedMachine, bundle?: string): readonly string[] {
  const { disk, table } = machine;
  const { section, release } = plan;
  const lines = disk.partitions.flatMap((partition) => {
    if (partition.source !== 'rootfs' || partition.mount !== '/') return [partitionLine(partition, machine, release)];
    const size = section.rootSize === undefined ? {} : { fixedSize: section.rootSize };
    if (!section.ab) return [partitionLine(partition, machine, release, size)];
    // the second slot holds the same system, so that a device can fall back before its first update; a UUID is one partition's
    const { mount: _mount, useUuid: _useUuid, useLabel: _useLabel, uuid: _uuid, ...second } = partition;
    return [
      partitionLine({ ...partition, name: `${partition.name}-a` }, machine, release, size),
      partitionLine({ ...second, name: `${partition.name}-b` }, machine, release, size),
    ];
  });
  if (bundle !== undefined) {
    // wic refuses names in an MBR, and takes a partition without --fstype for Microsoft's in a GPT
    const named = (name: string) => (table === 'gpt' ? `--part-name ${name} --part-type ${LINUX_FILESYSTEM}` : '--system-id 0x83'); // prettier-ignore
    // no --label: wic would write it into the file systems, and change what was signed
    for (const role of ['store', 'data']) {
      lines.push(
        `part --source rawcopy --sourceparams="file=${bundle}.${role}.ext4" --ondisk ${disk.device} ${named(`boxship-${role}`)} --align ${OUR_ALIGNMENT}`,
      );
    }
  }
  const { append, timeout } = disk.bootloader;
  const bootloader = [
    'bootloader',
    `--ptable ${table === 'gpt' ? 'gpt' : 'msdos'}`,
    ...(timeout === undefined ? [] : [`--timeout=${timeout}`]),
    ...(append === undefined ? [] : [`--append="${append}"`]),
  ].join(' ');
  return [...lines, '', bootloader];
}

function partitionLine(
  partition: RecipePartition,
  { disk, table }: PlannedMachine,
  release: YoctoRelease,
  { fixedSize }: { readonly fixedSize?: number } = {},
): string {
  const alignment = parseByteSize(partition.alignment ?? disk.alignment ?? `${DEFAULT_ALIGNMENT}`);
  const inTable = partition.inTable ?? true;
  return [
    'part',
    ...(partition.mount === undefined ? [] : [partition.mount]),
    ...(partition.source === undefined
      ? []
      : [`--source ${partition.source.replaceAll('-', release.wicPluginSeparator)}`]),
    ...(partition.sourceParameters === undefined ? [] : [`--sourceparams="${partition.sourceParameters}"`]),
    ...(partition.folder === undefined ? [] : [`--change-directory=${partition.folder}`]),
    // one option with all paths: of several, wic takes the last
    ...(partition.exclude === undefined ? [] : [`--exclude-path ${partition.exclude.join(' ')}`]),
    `--ondisk ${disk.device}`,
    ...(partition.filesystem === undefined ? [] : [`--fstype=${partition.filesystem}`]),
    ...(inTable ? ((partition.label ?? true) ? [`--label ${partition.name}`] : []) : ['--no-table']),
    ...(inTable && table === 'gpt' ? [`--part-name ${partition.name}`] : []),
    ...(partition.active ? ['--active'] : []),
    ...(partition.useUuid ? ['--use-uuid'] : []),
    ...(partition.useLabel ? ['--use-label'] : []),
    ...(partition.uuid === undefined ? [] : [`--uuid ${partition.uuid}`]),
    ...(partition.type === undefined ? [] : [`--part-type ${partition.type}`]),
    `--align ${alignment / KiB}`,
    ...sizeOf(partition, fixedSize),
  ].join(' ');
}

function sizeOf({ size, fixedSize }: RecipePartition, chosen: number | undefined): readonly string[] {
  if (chosen !== undefined) return [`--fixed-size ${wicSize(chosen)}`];
  if (fixedSize !== undefined) return [`--fixed-size ${wicSize(parseByteSize(fixedSize))}`];
  return size === undefined ? [] : [`--size ${wicSize(parseByteSize(size))}`];
}

/** Whole MiB where that is exact, else KiB: boot code has partitions of 256 KiB. */
function wicSize(bytes: number): string {
  return bytes % MiB === 0 ? `${bytes / MiB}M` : `${Math.ceil(bytes / KiB)}K`;
}
