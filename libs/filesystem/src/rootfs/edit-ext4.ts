import { symlink, writeFile } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { resolve, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { openFileReader, runProgram, withScratch } from '@boxship/host';
import { readerSlice, UserError, type BytePath, type TreeEntry, type Xattr } from '@boxship/model';
import { openExt4, type Ext4Reader } from './ext4-reader.ts';
import { INCOMPAT, RO_COMPAT, type Ext4Superblock } from './ext4-superblock.ts';
import { readFileContexts, readSelinuxPolicy, type LabelFinder } from './file-contexts.ts';

export interface EditOptions {
  /** Seconds since 1970 that everything gets that the edit stamps with a time. */
  readonly epoch: number;
}

/** One path that an edit touched, without symlinks in it. */
export interface Edit {
  readonly path: BytePath;
  /** `keep`: a directory that was there already; its attributes are the vendor's. */
  readonly action: 'add' | 'replace' | 'keep';
  /** SELinux label that it got. */
  readonly label?: string;
}

export interface EditReport {
  readonly edits: readonly Edit[];
  /** Version of the host tool that wrote, as in `debugfs 1.47.0`: another version may write other bytes. */
  readonly tool: string;
}

/** An entry at its place in this filesystem. */
interface PlacedEntry {
  readonly entry: TreeEntry;
  readonly path: BytePath;
  readonly action: Edit['action'];
  readonly label?: string;
}

/**
 * Adds or replaces files, symlinks and directories in the ext4 that starts at byte `offset` of `file`, in place, without
 * root or a mount, so that `e2fsck -fn` has nothing to say afterwards; nothing but the listed paths changes. Equal input
 * bytes, entries, epoch and e2fsprogs give equal output bytes. Symlinks on the way to a path are followed; missing parents
 * are made (0755, root). On an SELinux base every new file gets its label.
 *
 * Checked before the first byte is written: EXT4_DIRTY (not cleanly unmounted, journal, recorded errors), EXT4_READ_ONLY
 * (verity, shared blocks), ROOTFS_FULL, EDIT_CONFLICT (another type is there), EDIT_BAD_ENTRY, SELINUX_*. While writing:
 * EDIT_FAILED; the file is then damaged and must be thrown away.
 */
export async function editExt4(
  file: string,
  offset: number,
  entries: readonly TreeEntry[],
  { epoch }: EditOptions,
): Promise<EditReport> {
  const placed = await planEdit(file, offset, entries, epoch);
  const tool = await debugfsVersion();
  const edits = placed.map(({ path, action, label }): Edit => ({ path, action, ...(label ? { label } : {}) }));
  const changes = placed.filter(({ action }) => action !== 'keep');
  if (changes.length === 0) return { edits, tool };
  await withScratch(async (scratch) => {
    // libext2fs takes `name?offset=N`; behind a link of our own, the name cannot be misread.
    const disk = join(scratch, 'disk');
    await symlink(resolve(file), disk);
    const script = join(scratch, 'script');
    await writeFile(script, Buffer.from((await editScript(changes, scratch)).join('\n') + '\n', 'latin1'));
    const env = { E2FSPROGS_FAKE_TIME: String(epoch), E2FSCK_TIME: String(epoch), DEBUGFS_PAGER: 'cat' };
    const result = await runProgram('debugfs', ['-w', '-f', script, `${disk}?offset=${offset}`], { env });
    // debugfs ends with 0 whatever happens
    const complaints = result.stderr.split('\n').filter((line) => line !== '' && !/^debugfs \d/.test(line));
    if (complaints.length > 0) throw editFailed(complaints.slice(0, 5).join('; '));
    const check = await runProgram('e2fsck', ['-fn', `${disk}?offset=${offset}`], { env, accept: [0, 1, 2, 4, 8, 12] });
    if (check.code !== 0)
      throw editFailed(`e2fsck says: ${check.stdout.toString().split('\n').slice(0, 8).join('; ')}`);
  });
  return { edits, tool };
}

/** `debugfs 1.47.0`. Errors: PROGRAM_MISSING. */
export async function debugfsVersion(): Promise<string> {
  const { stderr } = await runProgram('debugfs', ['-V']);
  return /^debugfs [\w.~-]+/m.exec(stderr)?.[0] ?? 'debugfs';
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

async function planEdit(file: string, offset: number, entries: readonly TreeEntry[], epoch: number) {
  await using disk = await openFileReader(file);
  const fs = await openExt4(readerSlice(disk, offset, disk.size - offset));
  checkEditable(fs.superblock);
  const policy = await readSelinuxPolicy(fs);
  const labelOf = policy && (await readFileContexts(fs, policy));
  const placed = new Map<BytePath, PlacedEntry>();
  for (const entry of entries) {
    checkEntry(entry);
    await placeParents(fs, entry.path, epoch, labelOf, placed);
    const parent = entry.path.includes('/') ? await placeOf(fs, dirname(entry.path), placed) : '';
    const path = joinPath(parent, basename(entry.path));
    if (placed.has(path)) throw conflict(entry.path, 'it is listed twice');
    placed.set(path, await placeEntry(fs, entry, path, labelOf));
  }
  const all = [...placed.values()];
  checkSpace(fs.superblock, all);
  return all;
}

async function placeParents(
  fs: Ext4Reader, path: BytePath, epoch: number, labelOf: LabelFinder | undefined, placed: Map<BytePath, PlacedEntry>,
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
async function placeOf(fs: Ext4Reader, path: BytePath, placed: Map<BytePath, PlacedEntry>): Promise<BytePath> {
  const real = await fs.realPath(path);
  if (real !== undefined || path === '') return real ?? '';
  const parent = path.includes('/') ? await placeOf(fs, dirname(path), placed) : '';
  const here = joinPath(parent, basename(path));
  if (!placed.has(here) && (await fs.lstat(here))) throw conflict(path, `/${here} is a symlink that leads nowhere`);
  return here;
}

async function placeEntry(
  fs: Ext4Reader, entry: TreeEntry, path: BytePath, labelOf: LabelFinder | undefined,
): Promise<PlacedEntry> {
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
function checkSpace(sb: Ext4Superblock, placed: readonly PlacedEntry[]): void {
  const added = placed.filter(({ action }) => action !== 'keep');
  const inodes = added.filter(({ action }) => action === 'add').length;
  const blocks = added.reduce((sum, { entry, label }) => {
    const data =
      entry.type === 'directory' ? 1 : Math.ceil(Math.max(entry.size, entry.link?.length ?? 0) / sb.blockSize);
    return sum + data + (data > 0 ? 1 : 0) + (label || entry.xattrs?.length ? 1 : 0) + 1;
  }, 1);
  if (inodes > sb.freeInodes || blocks > sb.freeBlocks) {
    throw new UserError(
      'ROOTFS_FULL',
      `the edit of the root filesystem needs ${blocks} blocks of ${sb.blockSize} bytes and ${inodes} inodes, it has ${sb.freeBlocks} blocks and ${sb.freeInodes} inodes free`,
      'Build the base image with a larger root filesystem.',
    );
  }
}

/**
 * The script for debugfs. `mkdir`, `write` and `symlink` act in the directory of the last `cd`, which every release of
 * debugfs understands; all other commands get absolute paths.
 */
async function editScript(changes: readonly PlacedEntry[], scratch: string): Promise<string[]> {
  const lines: string[] = [];
  for (const [index, { entry, path, action, label }] of changes.entries()) {
    const parent = dirname(path);
    const at = quote(`/${path}`);
    lines.push(`cd ${quote(`/${parent}`)}`);
    if (action === 'replace') lines.push(`rm ${at}`);
    if (entry.type === 'directory') lines.push(`mkdir ${quote(basename(path))}`);
    else if (entry.type === 'symlink') lines.push(`symlink ${quote(basename(path))} ${quote(entry.link!)}`);
    else {
      const staged = join(scratch, `file-${index}`);
      await stageContent(entry, staged);
      lines.push(`write ${quote(staged)} ${quote(basename(path))}`);
    }
    const format = { file: 0o100000, directory: 0o040000, symlink: 0o120000 }[entry.type as 'file'];
    const mode = entry.type === 'symlink' ? 0o777 : entry.mode & 0o7777;
    lines.push(`sif ${at} mode 0${(format | mode).toString(8)}`);
    lines.push(`sif ${at} uid ${entry.uid}`, `sif ${at} gid ${entry.gid}`);
    const xattrs: Xattr[] = [...(entry.xattrs ?? [])];
    if (label) xattrs.push({ name: 'security.selinux', value: Buffer.from(`${label}\0`, 'latin1') });
    for (const [number, xattr] of xattrs.entries()) {
      const value = join(scratch, `xattr-${index}-${number}`);
      await writeFile(value, xattr.value);
      lines.push(`ea_set -f ${quote(value)} ${at} ${quote(xattr.name)}`);
    }
  }
  // Times come last: a directory's would be touched by what is put into it.
  for (const { entry, path } of changes) {
    const at = quote(`/${path}`);
    const low = entry.mtime % 2 ** 32;
    const high = (Math.floor((entry.mtime + 2 ** 31) / 2 ** 32)) & 3; // prettier-ignore
    lines.push(`sif ${at} mtime @${low}`);
    const extra = ((entry.mtimeNanoseconds << 2) | high) >>> 0;
    if (extra !== 0) lines.push(`sif ${at} mtime_extra ${extra}`);
  }
  return lines;
}

async function stageContent(entry: TreeEntry, path: string): Promise<void> {
  if (!entry.content || entry.size === 0) return await writeFile(path, '');
  if (!('offset' in entry.content)) throw new Error(`${entry.path}: sparse content in an edit`);
  await pipeline(
    Readable.from(range(entry.content.source.open(), entry.content.offset, entry.size)),
    createWriteStream(path),
  );
}

async function* range(chunks: AsyncIterable<Uint8Array>, offset: number, length: number) {
  let position = 0;
  for await (const chunk of chunks) {
    const start = Math.max(0, offset - position);
    const end = Math.min(chunk.length, offset + length - position);
    if (end > start) yield Buffer.from(chunk.subarray(start, end));
    position += chunk.length;
  }
}

/** As libss splits a line: double quotes around, a double quote inside twice. */
function quote(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

function dirname(path: BytePath): BytePath {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
}

function basename(path: BytePath): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function joinPath(parent: BytePath, name: string): BytePath {
  return parent === '' ? name : `${parent}/${name}`;
}

function conflict(path: BytePath, what: string): UserError {
  return new UserError('EDIT_CONFLICT', `/${path} cannot be put into the root filesystem: ${what}`);
}

function editFailed(what: string): UserError {
  return new UserError(
    'EDIT_FAILED',
    `the root filesystem could not be edited: ${what}`,
    'Check the base image with e2fsck -f; a newer e2fsprogs on this host may know its features.',
  );
}
