import { isExtended } from '@boxship/disk';
import { openExt4, probeFilesystem } from '@boxship/filesystem';
import type { BaseDevice } from '@boxship/formats';
import { UserError, readerSlice } from '@boxship/model';

/** Names of our partitions in a GPT, and labels of their file systems, which tell on an MBR disk. */
const OURS = ['boxship-store', 'boxship-data'];

/**
 * An image that holds a store already was made by `compose`, or by a build with `boxship-bundle` in it: a second store would
 * lie beside the first, and the device would find two. Errors: STORE_IN_BASE.
 */
export async function refuseStoreInBase({ table, content }: BaseDevice): Promise<void> {
  for (const { number, name, start, size, type } of table.partitions) {
    if (isExtended(type)) continue;
    const label = await labelOf(start, size);
    const ours = OURS.find((one) => one === name || one === label);
    if (ours === undefined) continue;
    throw new UserError(
      'STORE_IN_BASE',
      `partition ${number} of the base image is "${ours}": it has its containers already`,
      'Flash it as it is. Or give the image before the containers came in: of a build, the one with yocto: { bundle: compose }.',
    );
  }

  async function labelOf(start: number, size: number): Promise<string | undefined> {
    const partition = readerSlice(content, start, size);
    if ((await probeFilesystem(partition)) !== 'ext4') return undefined;
    try {
      return (await openExt4(partition)).superblock.label;
    } catch (error) {
      if (error instanceof UserError) return undefined; // damaged, or of a kind that we cannot read: not ours
      throw error;
    }
  }
}
