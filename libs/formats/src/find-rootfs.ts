import { isExtended, ROOT_PARTITION_TYPES } from '@boxship/disk';
import {
  formatByteSize,
  readerSlice,
  UserError,
  type BlockDevice,
  type Partition,
  type RandomReader,
  type RootfsSelector,
  type SystemImage,
} from '@boxship/model';

/** What a look into a partition tells. */
export interface PartitionContent {
  /** Kind of file system: `ext4`, `FAT`, … */
  readonly filesystem?: string;
  /** Label of the file system. */
  readonly label?: string;
  /** It has an os-release file and an init program: a system could start from it. */
  readonly isRoot: boolean;
}

/** Looks into the bytes of one partition; never throws for what it cannot read. */
export type PartitionProbe = (content: RandomReader) => Promise<PartitionContent>;

export interface FindRootfsOptions {
  /** What the product file or the recipe says. */
  readonly selector?: RootfsSelector;
  /** Architecture in OCI's words (`amd64`, `arm64`): its GPT type for a root partition decides, if one has it. */
  readonly architecture?: string;
  readonly probe: PartitionProbe;
}

export interface Rootfs {
  readonly device: BlockDevice;
  readonly partition: Partition;
  /** The partition's bytes. */
  readonly content: RandomReader;
}

/**
 * The partition that the system starts from: the one that the selector names (by number, by GPT name or by file system
 * label); else the only one with the GPT root type of the architecture (Discoverable Partitions Specification); else
 * the only one that looks like a root file system.
 *
 * Errors: ROOTFS_NOT_FOUND, ROOTFS_AMBIGUOUS; both list the partitions and say how to name one.
 */
export async function findRootfs(
  image: SystemImage,
  { selector, architecture, probe }: FindRootfsOptions,
): Promise<Rootfs> {
  const candidates = image.devices.flatMap((device) =>
    device.table.partitions
      .filter((partition) => !isExtendedOf(device, partition))
      .map((partition): Rootfs => {
        const content = readerSlice(device.content, partition.start, partition.size);
        return { device, partition, content };
      }),
  );
  const contents = new Map<Rootfs, PartitionContent>();
  const look = async (candidate: Rootfs): Promise<PartitionContent> => {
    const content = contents.get(candidate) ?? (await probe(candidate.content));
    contents.set(candidate, content);
    return content;
  };
  const fail = async (code: string, message: string): Promise<never> => {
    for (const candidate of candidates) await look(candidate);
    const lines = candidates.map((candidate) => `\n  ${describe(candidate.partition, contents.get(candidate))}`);
    throw new UserError(
      code,
      `${message}; the base image has ${candidates.length} partitions:${lines.join('')}`,
      'Name it in boxship.yaml: machines.<machine>.rootfs: { partition: 2 }, or { name: <GPT name or label> }.',
    );
  };
  const only = async (found: readonly Rootfs[], what: string): Promise<Rootfs> => {
    const numbers = found.map(({ partition }) => partition.number).join(', ');
    return found.length === 1
      ? found[0]!
      : await fail('ROOTFS_AMBIGUOUS', `partitions ${numbers} ${what}: which one is the rootfs is not clear`);
  };

  if (selector) {
    const wanted = 'partition' in selector ? `number ${selector.partition}` : `name or label "${selector.name}"`;
    const matches: Rootfs[] = [];
    for (const candidate of candidates) {
      const { number, name } = candidate.partition;
      const isMatch =
        'partition' in selector
          ? number === selector.partition
          : name === selector.name || (await look(candidate)).label === selector.name;
      if (isMatch) matches.push(candidate);
    }
    if (matches.length === 0) return await fail('ROOTFS_NOT_FOUND', `no partition has the ${wanted}`);
    return await only(matches, `have the ${wanted}`);
  }
  const rootType =
    architecture !== undefined && Object.hasOwn(ROOT_PARTITION_TYPES, architecture)
      ? ROOT_PARTITION_TYPES[architecture]
      : undefined;
  const typed = candidates.filter(({ partition }) => partition.type === rootType);
  if (typed.length > 0) return await only(typed, `have the root type of ${architecture}`);
  const roots: Rootfs[] = [];
  for (const candidate of candidates) if ((await look(candidate)).isRoot) roots.push(candidate);
  if (roots.length === 0) return await fail('ROOTFS_NOT_FOUND', 'no partition holds a root file system');
  return await only(roots, 'look like a root file system');
}

function isExtendedOf({ table }: BlockDevice, { type }: Partition): boolean {
  return table.type === 'mbr' && isExtended(type);
}

function describe({ number, name, size, type }: Partition, content: PartitionContent | undefined): string {
  const label = content?.label ? ` labelled "${content.label}"` : '';
  const what = content?.filesystem ? `${content.filesystem}${label}` : 'no file system that we know';
  return `${number}${name ? ` "${name}"` : ''}: ${formatByteSize(size)}, type ${type}, ${what}`;
}
