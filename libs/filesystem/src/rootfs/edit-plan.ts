import { UserError, type BytePath, type RandomReader, type TreeEntry } from '@boxship/model';
import { basename, dirname, joinPath } from './byte-path.ts';
import { openExt4 } from './ext4-reader.ts';
import { INCOMPAT, RO_COMPAT, type Ext4Superblock } from './ext4-superblock.ts';
import { readFileContexts, readSelinuxPolicy, type LabelFinder } from './file-contexts.ts';
import type { RootfsReader } from './rootfs-reader.ts';

export interface EditOptions {
  /** Seconds since 1970 that everything gets that the edit stamps with a time. */
  readonly epoch: number;
}

/** An entry at its place in a root file system. */
export interface Edit {
  /** As the caller named it; a folder of ours, as one of its paths begins, where that is missing. */
  readonly entry: TreeEntry;
  /** Where it lies, without symlinks. */
  readonly path: BytePath;
  /** `keep`: a directory that was there already; its attributes are the vendor's. */
  readonly action: 'add' | 'replace' | 'keep';
  /** SELinux label that it gets. */
  readonly label?: string;
}

/**
 * What has to change in the ext4 in `reader` so that it holds the entries: each at its place, with the parents that are missing
 * before it. Nothing is written. Errors: everything that cannot or must not be edited. EXT4_DIRTY (not cleanly unmounted, journal,
 * recorded errors), EXT4_READ_ONLY (dm-verity, fs-verity, shared blocks), ROOTFS_FULL, and those of `planRootfsEdit`.
 */
export async function planExt4Edit(
  reader: RandomReader,
  entries: readonly TreeEntry[],
  { epoch }: EditOptions,
): Promise<readonly Edit[]> {
  const fs = await openExt4(reader);
  checkEditable(fs.superblock);
  await checkNoVerity(reader, fs.superblock);
  const all = await planRootfsEdit(fs, entries, { epoch });
  checkSpace(fs.superblock, all);
  return all;
}

/**
 * Every entry at its place in a root file system of any kind, with the parents that are missing before it, and its label.
 * Errors: EDIT_BAD_ENTRY, EDIT_CONFLICT (another type is there), SELINUX_*.
 */
export async function planRootfsEdit(
  fs: RootfsReader,
  entries: readonly TreeEntry[],
  { epoch }: EditOptions,
): Promise<readonly Edit[]> {
  const policy = await readSelinuxPolicy(fs);
  const labelOf = policy && (await readFileContexts(fs, policy));
  const placed = new Map<BytePath, Edit>();
  for (const entry of entries) {
    checkEntry(entry);
    await placeParents(fs, entry.path, epoch, labelOf, placed);
    const parent = entry.path.includes('/') ? await placeOf(fs, dirname(entry.path), placed) : '';
    const path = joinPath(parent, basename(entry.path));
    if (placed.has(path)) throw conflict(entry.path, 'it is listed twice');
    placed.set(path, await placeEntry(fs, entry, path, labelOf));
  }
  return [...placed.values()];
}

/** Refuses a filesystem that must not, or cannot, be changed in place; says why. */
export function checkEditable(sb: Ext4Superblock): void {
  const clean = (sb.state & 1) !== 0 && (sb.state & 2) === 0 && sb.errorCount === 0;
  const recover = (sb.featureIncompat & INCOMPAT.recover) !== 0;
  if (!clean || recover) {
    const why = recover
      ? 'its journal holds changes that were not written back'
      : sb.errorCount > 0 || (sb.state & 2) !== 0
        ? 'the kernel has recorded errors in it'
        : 'it was not unmounted cleanly';
    throw new UserError(
      'EXT4_DIRTY',
      `the root filesystem cannot be edited: ${why}`,
      'Repair it in the base image with e2fsck -fy, or ask the vendor for an image that was made offline.',
    );
  }
  const readOnly = [
    (sb.featureRoCompat & RO_COMPAT.readOnly) !== 0 ? 'it is marked read-only' : '',
    (sb.featureRoCompat & RO_COMPAT.sharedBlocks) !== 0 ? 'its files share blocks' : '',
    (sb.featureRoCompat & RO_COMPAT.verity) !== 0 ? 'it holds fs-verity files' : '',
  ].filter(Boolean);
  if (readOnly.length > 0) {
    throw new UserError(
      'EXT4_READ_ONLY',
      `the root filesystem cannot be edited: ${readOnly.join(', ')}`,
      'Such a base image must bring the device socket itself: build it with the generated Yocto layer.',
    );
  }
}

/** dm-verity may append its tree to the filesystem (cryptsetup, "Verity superblock"): one changed byte and nothing boots. */
async function checkNoVerity(reader: RandomReader, sb: Ext4Superblock): Promise<void> {
  const end = sb.blockCount * sb.blockSize;
  if (reader.size < end + 8) return;
  if (Buffer.from(await reader.read(end, 8)).toString('latin1') === 'verity\0\0') {
    throw new UserError(
      'EXT4_READ_ONLY',
      'the root filesystem cannot be edited: dm-verity protects it',
      'Such a base image must bring the device socket itself: build it with the generated Yocto layer.',
    );
  }
}

async function placeParents(
  fs: RootfsReader, path: BytePath, epoch: number, labelOf: LabelFinder | undefined, placed: Map<BytePath, Edit>,
): Promise<void> {
  const names = path.split('/').slice(0, -1);
  for (let depth = 1; depth <= names.length; depth += 1) {
    const at = names.slice(0, depth).join('/');
    const real = await placeOf(fs, at, placed);
    const known = placed.get(real);
    if (known && known.entry.type !== 'directory') throw conflict(path, `/${real} is not a directory`);
    if (known || (await fs.stat(real))?.type === 'directory') continue;
    const entry: TreeEntry = { path: at, type: 'directory', mode: 0o755, uid: 0, gid: 0, mtime: epoch, mtimeNanoseconds: 0, size: 0 };
    placed.set(real, await placeEntry(fs, entry, real, labelOf));
  }
} // prettier-ignore

/** Where a path lies: symlinks of the filesystem followed as far as it exists, the rest as it is. */
async function placeOf(fs: RootfsReader, path: BytePath, placed: Map<BytePath, Edit>): Promise<BytePath> {
  const real = await fs.realPath(path);
  if (real !== undefined || path === '') return real ?? '';
  const parent = path.includes('/') ? await placeOf(fs, dirname(path), placed) : '';
  const here = joinPath(parent, basename(path));
  if (!placed.has(here) && (await fs.lstat(here))) throw conflict(path, `/${here} is a symlink that leads nowhere`);
  return here;
}

async function placeEntry(
  fs: RootfsReader, entry: TreeEntry, path: BytePath, labelOf: LabelFinder | undefined,
): Promise<Edit> {
  const there = await fs.lstat(path);
  const isDirectory = entry.type === 'directory';
  // a symlink to a directory serves as that directory
  if (isDirectory && there && (await fs.stat(path))?.type === 'directory') return { entry, path, action: 'keep' };
  if (there && (isDirectory || there.type === 'directory')) {
    throw conflict(entry.path, `the base image has a ${there.type} there, a ${entry.type} cannot take its place`);
  }
  if (there && there.type !== 'file' && there.type !== 'symlink') {
    throw conflict(entry.path, `the base image has a ${there.type} there`);
  }
  const label = entry.xattrs?.some(({ name }) => name === 'security.selinux') ? undefined : labelOf?.(path, entry.type);
  return { entry, path, action: there ? 'replace' : 'add', ...(label ? { label } : {}) };
} // prettier-ignore

function checkEntry(entry: TreeEntry): void {
  const bad = (what: string) =>
    new UserError('EDIT_BAD_ENTRY', `/${entry.path} cannot be put into a root filesystem: ${what}`);
  if (!['file', 'directory', 'symlink'].includes(entry.type)) throw bad(`a ${entry.type} is not supported`);
  if (/[\0\n\r]/.test(entry.path) || /[\0\n\r]/.test(entry.link ?? '')) throw bad('a line break in its name');
  if (entry.path === '' || entry.path.split('/').some((part) => ['', '.', '..'].includes(part))) throw bad('its path');
  if (entry.path.split('/').some((part) => part.length > 255)) throw bad('a part of its path has more than 255 bytes');
  if (entry.path.length + (entry.link?.length ?? 0) > 3000) throw bad('its path is too long');
  if (entry.type === 'symlink' && !entry.link) throw bad('a symlink without a target');
  if (entry.mtime < 0 || entry.mtime >= 2 ** 34) throw bad(`its time ${entry.mtime}`);
  if (entry.xattrs?.some((xattr) => !/^[!-~]+$/.test(xattr.name))) throw bad('the name of an extended attribute');
}

/** Blocks and inodes that the edit takes at most; directories grow by their new names. */
function checkSpace(sb: Ext4Superblock, placed: readonly Edit[]): void {
  const added = placed.filter(({ action }) => action !== 'keep');
  const inodes = added.filter(({ action }) => action === 'add').length;
  const unit = sb.blocksPerCluster;
  const blocks = added.reduce((sum, { entry, label }) => {
    const data =
      entry.type === 'directory' ? 1 : Math.ceil(Math.max(entry.size, entry.link?.length ?? 0) / sb.blockSize);
    // with bigalloc, whatever takes a block takes a whole cluster
    const clusters = Math.ceil(data / unit) + (data > 0 ? 1 : 0) + (label || entry.xattrs?.length ? 1 : 0) + 1;
    return sum + clusters * unit;
  }, unit);
  if (inodes > sb.freeInodes || blocks > sb.freeBlocks) {
    throw new UserError(
      'ROOTFS_FULL',
      `the edit of the root filesystem needs ${blocks} blocks of ${sb.blockSize} bytes and ${inodes} inodes, it has ${sb.freeBlocks} blocks and ${sb.freeInodes} inodes free`,
      'Build the base image with a larger root filesystem.',
    );
  }
}

function conflict(path: BytePath, what: string): UserError {
  return new UserError('EDIT_CONFLICT', `/${path} cannot be put into the root filesystem: ${what}`);
}
