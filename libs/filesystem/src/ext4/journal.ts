import { BLOCK_SIZE } from './geometry.ts';

/** Documentation/filesystems/ext4/journal.rst: all of it is big-endian. */
const JBD2_MAGIC = 0xc03b3998;
const SUPERBLOCK_V2 = 4;

/** Block 0 of an empty journal of so many blocks; the others are zeros. The kernel sets its features at the first mount. */
export function encodeJournalSuperblock(blocks: number, uuid: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(BLOCK_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(0x0, JBD2_MAGIC);
  view.setUint32(0x4, SUPERBLOCK_V2);
  view.setUint32(0xc, BLOCK_SIZE);
  view.setUint32(0x10, blocks);
  view.setUint32(0x14, 1); // s_first: block 1 starts the log
  view.setUint32(0x18, 1); // s_sequence
  view.setUint32(0x1c, 0); // s_start: nothing to replay
  bytes.set(uuid, 0x30);
  view.setUint32(0x40, 1); // s_nr_users
  return bytes;
}
