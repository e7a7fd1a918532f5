import { isExtended } from '@boxship/disk';
import { openExt4, probeFilesystem } from '@boxship/filesystem';
import { readerSlice, UserError, type BlockDevice, type Partition, type RandomReader } from '@boxship/model';

/** Names of our partitions in a GPT, and labels of their file systems, which tell on an MBR disk. */
export const OWN_PARTITION_NAMES = { store: 'boxship-store', data: 'boxship-data' } as const;

export type OwnRole = keyof typeof OWN_PARTITION_NAMES;

/** Partitions of ours on a device, by their name in a GPT or the label of their ext4. */
export async function findOwnPartitions({
  table,
  content,
}: BlockDevice): Promise<readonly { readonly role: OwnRole; readonly partition: Partition }[]> {
  const found: { role: OwnRole; partition: Partition }[] = [];
  for (const partition of table.partitions) {
    const { name, start, size, type } = partition;
    if (table.type === 'mbr' && isExtended(type)) continue;
    const label = await labelOf(readerSlice(content, start, size));
    for (const [role, own] of Object.entries(OWN_PARTITION_NAMES)) {
      if (own === name || own === label) found.push({ role: role as OwnRole, partition });
    }
  }
  return found;
}

/** Label of the ext4 in a partition; undefined when there is none, or none that we can read: such a one is not ours. */
async function labelOf(partition: RandomReader): Promise<string | undefined> {
  try {
    if ((await probeFilesystem(partition)) !== 'ext4') return undefined;
    return (await openExt4(partition)).superblock.label;
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
