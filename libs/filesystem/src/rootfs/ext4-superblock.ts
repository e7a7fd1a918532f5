import { formatByteSize, UserError, type RandomReader } from '@boxship/model';

/*
 * On-disk format: Linux Documentation/filesystems/ext4/ (super.rst, group_descr.rst, inodes.rst, ifork.rst, attributes.rst).
 * All integers are little-endian.
 */

/** Bits of s_feature_incompat that decide how to read. */
export const INCOMPAT = {
  compression: 0x1,
  filetype: 0x2,
  recover: 0x4,
  journalDevice: 0x8,
  metaBg: 0x10,
  extents: 0x40,
  is64bit: 0x80,
  mmp: 0x100,
  flexBg: 0x200,
  eaInode: 0x400,
  checksumSeed: 0x2000,
  largeDirectory: 0x4000,
  inlineData: 0x8000,
  encrypt: 0x10000,
  casefold: 0x20000,
} as const;

/** Bits of s_feature_ro_compat that decide whether an edit is possible. */
export const RO_COMPAT = { bigalloc: 0x200, readOnly: 0x1000, sharedBlocks: 0x4000, verity: 0x8000 } as const;

const READABLE = Object.entries(INCOMPAT)
  .filter(([name]) => name !== 'compression' && name !== 'journalDevice')
  .reduce((bits, [, bit]) => bits | bit, 0);

/** What the superblock says, in bytes and counts. */
export interface Ext4Superblock {
  readonly blockSize: number;
  readonly blockCount: number;
  readonly freeBlocks: number;
  readonly inodeCount: number;
  readonly freeInodes: number;
  readonly inodeSize: number;
  readonly blocksPerGroup: number;
  /** Blocks that a bit of a bitmap stands for: more than one with `bigalloc`. */
  readonly blocksPerCluster: number;
  readonly inodesPerGroup: number;
  readonly firstDataBlock: number;
  readonly firstMetaBg: number;
  readonly descriptorSize: number;
  readonly featureCompat: number;
  readonly featureIncompat: number;
  readonly featureRoCompat: number;
  /** s_state: bit 0 cleanly unmounted, bit 1 errors seen. */
  readonly state: number;
  /** Number of errors that the kernel has recorded. */
  readonly errorCount: number;
  readonly label: string;
  /** Lower case, with dashes. */
  readonly uuid: string;
}

const SUPERBLOCK_OFFSET = 1024;

/** Filesystems that a rootfs may have instead, by their magic: name, position, bytes. */
const OTHERS: readonly (readonly [string, number, string])[] = [
  ['squashfs', 0, 'hsqs'],
  ['XFS', 0, 'XFSB'],
  ['erofs', 1024, '\xe2\xe1\xf5\xe0'],
  ['f2fs', 1024, '\x10\x20\xf5\xf2'],
  ['btrfs', 65600, '_BHRfS_M'], // 0x10000 + 0x40
  ['a LUKS volume', 0, 'LUKS\xba\xbe'],
  ['FAT', 82, 'FAT32   '],
  ['FAT', 54, 'FAT1'],
];

/** Name of the filesystem at the start of `reader`, as far as its magic tells. `ext4` stands for ext2 and ext3 as well. */
export async function probeFilesystem(reader: RandomReader): Promise<string | undefined> {
  if (reader.size >= SUPERBLOCK_OFFSET + 1024) {
    const magic = Buffer.from(await reader.read(SUPERBLOCK_OFFSET + 0x38, 2));
    if (magic.readUInt16LE(0) === 0xef53) return 'ext4';
  }
  for (const [name, position, magic] of OTHERS) {
    if (reader.size < position + magic.length) continue;
    const bytes = Buffer.from(await reader.read(position, magic.length));
    if (bytes.toString('latin1') === magic) return name;
  }
  return undefined;
}

/** Reads and checks the superblock. Errors: ROOTFS_NOT_EXT4 (names what is there), EXT4_UNSUPPORTED, EXT4_CORRUPT. */
export async function readSuperblock(reader: RandomReader): Promise<Ext4Superblock> {
  const found = await probeFilesystem(reader);
  if (found !== 'ext4') {
    throw new UserError(
      'ROOTFS_NOT_EXT4',
      `the root filesystem is ${found ?? 'of an unknown kind'}, not ext4`,
      'Only an ext4 rootfs can be read and edited. A base image whose rootfs is read-only (squashfs, erofs, verity) must bring the device socket itself: build it with the generated Yocto layer.',
    );
  }
  const bytes = Buffer.from(await reader.read(SUPERBLOCK_OFFSET, 1024));
  const u16 = (at: number) => bytes.readUInt16LE(at);
  const u32 = (at: number) => bytes.readUInt32LE(at);
  const dynamic = u32(0x4c) >= 1; // s_rev_level
  const featureIncompat = dynamic ? u32(0x60) : 0;
  const featureRoCompat = dynamic ? u32(0x64) : 0;
  const wide = (featureIncompat & INCOMPAT.is64bit) !== 0;
  const logBlockSize = u32(0x18);
  if (logBlockSize > 6) throw corrupt(`its block size is 2^${10 + logBlockSize}`);
  const uuid = bytes.toString('hex', 0x68, 0x78);
  const superblock: Ext4Superblock = {
    blockSize: 1024 << logBlockSize,
    blockCount: u32(0x04) + (wide ? u32(0x150) * 2 ** 32 : 0),
    freeBlocks: u32(0x0c) + (wide ? u32(0x158) * 2 ** 32 : 0),
    inodeCount: u32(0x00),
    freeInodes: u32(0x10),
    inodeSize: dynamic ? u16(0x58) : 128,
    blocksPerGroup: u32(0x20),
    blocksPerCluster: featureRoCompat & RO_COMPAT.bigalloc ? 2 ** Math.max(0, u32(0x1c) - logBlockSize) : 1,
    inodesPerGroup: u32(0x28),
    firstDataBlock: u32(0x14),
    firstMetaBg: u32(0x104),
    descriptorSize: wide ? u16(0xfe) : 32,
    featureCompat: dynamic ? u32(0x5c) : 0,
    featureIncompat,
    featureRoCompat,
    state: u16(0x3a),
    errorCount: u32(0x194),
    label: bytes.toString('latin1', 0x78, 0x88).replace(/\0.*$/s, ''),
    uuid: uuid.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
  };
  checkSuperblock(superblock, reader.size);
  return superblock;
}

function checkSuperblock(s: Ext4Superblock, size: number): void {
  const unknown = s.featureIncompat & ~READABLE;
  if (unknown !== 0) {
    throw new UserError(
      'EXT4_UNSUPPORTED',
      `the root filesystem has ext4 features that are not known here (0x${(unknown >>> 0).toString(16)})`,
      'Rebuild the base image with the default features of mke2fs.',
    );
  }
  if (s.inodeSize < 128 || s.inodeSize > s.blockSize || (s.inodeSize & (s.inodeSize - 1)) !== 0) {
    throw corrupt(`its inodes have ${s.inodeSize} bytes`);
  }
  const bitsPerBlock = 8 * s.blockSize;
  if (s.inodesPerGroup === 0 || s.inodesPerGroup > bitsPerBlock) throw corrupt(`${s.inodesPerGroup} inodes per group`);
  const mostBlocks = bitsPerBlock * s.blocksPerCluster;
  if (s.blocksPerGroup === 0 || s.blocksPerGroup > mostBlocks) throw corrupt(`${s.blocksPerGroup} blocks per group`);
  if (s.descriptorSize < 32 || s.descriptorSize > s.blockSize)
    throw corrupt(`descriptors of ${s.descriptorSize} bytes`);
  if (s.firstDataBlock >= s.blockCount) throw corrupt(`${s.blockCount} blocks`);
  if (s.blockCount * s.blockSize > size) {
    throw new UserError(
      'EXT4_TRUNCATED',
      `the root filesystem has ${formatByteSize(s.blockCount * s.blockSize)}, its partition only ${formatByteSize(size)}`,
      'The base image is damaged or was cut short: get it again.',
    );
  }
}

/** The error for a filesystem that contradicts itself. */
export function corrupt(what: string): UserError {
  return new UserError(
    'EXT4_CORRUPT',
    `the ext4 root filesystem is damaged: ${what}`,
    'Get the base image again, or repair it with e2fsck -f.',
  );
}
