import { symlink, writeFile } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { resolve, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { openFileReader, runProgram, withScratch } from '@boxship/host';
import { readerSlice, UserError, type TreeEntry, type Xattr } from '@boxship/model';
import { basename, dirname } from './byte-path.ts';
import { editOf, placeEntries, type Edit, type EditOptions, type PlacedEntry } from './edit-plan.ts';

export interface EditReport {
  readonly edits: readonly Edit[];
  /** Version of the host tool that wrote, as in `debugfs 1.47.0`: another version may write other bytes. */
  readonly tool: string;
}

/**
 * Adds or replaces files, symlinks and directories in the ext4 that starts at byte `offset` of `file`, in place, without
 * root or a mount, so that `e2fsck -fn` has nothing to say afterwards; nothing but the listed paths changes. Equal input
 * bytes, entries, epoch and e2fsprogs give equal output bytes. Symlinks on the way to a path are followed; missing parents
 * are made (0755, root). On an SELinux base every new file gets its label.
 *
 * Checked before the first byte is written: EXT4_DIRTY (not cleanly unmounted, journal, recorded errors), EXT4_READ_ONLY
 * (dm-verity, fs-verity, shared blocks), ROOTFS_FULL, EDIT_CONFLICT (another type is there), EDIT_BAD_ENTRY, SELINUX_*. While writing:
 * EDIT_FAILED; the file is then damaged and must be thrown away.
 */
export async function editExt4(
  file: string,
  offset: number,
  entries: readonly TreeEntry[],
  { epoch }: EditOptions,
): Promise<EditReport> {
  const placed = await readPlan(file, offset, entries, epoch);
  const tool = await debugfsVersion();
  const edits = placed.map(editOf);
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

async function readPlan(file: string, offset: number, entries: readonly TreeEntry[], epoch: number) {
  await using disk = await openFileReader(file);
  return await placeEntries(readerSlice(disk, offset, disk.size - offset), entries, epoch);
}

/** `debugfs 1.47.0`. Errors: PROGRAM_MISSING. */
export async function debugfsVersion(): Promise<string> {
  const { stderr } = await runProgram('debugfs', ['-V']);
  return /^debugfs [\w.~-]+/m.exec(stderr)?.[0] ?? 'debugfs';
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

function editFailed(what: string): UserError {
  return new UserError(
    'EDIT_FAILED',
    `the root filesystem could not be edited: ${what}`,
    'Check the base image with e2fsck -f; a newer e2fsprogs on this host may know its features.',
  );
}
