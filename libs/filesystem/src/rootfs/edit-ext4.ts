import { readFile, symlink, writeFile } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { resolve, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { openFileReader, runProgram, sideBySide, withScratch, type RunResult } from '@boxship/host';
import { UserError, type Patch, type TreeEntry, type Xattr } from '@boxship/model';
import { basename, dirname } from './byte-path.ts';
import type { Edit, EditOptions } from './edit-plan.ts';
import { rangesOfUndoFile } from './undo-file.ts';

export interface EditPatchOptions extends EditOptions {
  /** Folder for files on the way: as much as the metadata and what is added. Default: the system's. */
  readonly scratch?: string;
}

/**
 * The bytes that bring edits into the ext4 that starts at byte `offset` of `file`, and into every copy of it, so that `e2fsck -fn` has
 * nothing to say: ascending and apart, positions from the start of the file, as many as what is added and its metadata. No root, no
 * mount, and the file is only read: debugfs edits a copy of its metadata. Equal input bytes, edits, epoch and e2fsprogs give equal
 * patches. Errors: EDIT_FAILED, PROGRAM_MISSING, PROGRAM_FAILED (also for a scratch folder on a full disk).
 */
export async function ext4EditPatches(
  file: string,
  offset: number,
  edits: readonly Edit[],
  { epoch, scratch: parent }: EditPatchOptions,
): Promise<readonly Patch[]> {
  const changes = edits.filter(({ action }) => action !== 'keep');
  if (changes.length === 0) return [];
  return await withScratch(async (scratch) => {
    // behind a link of our own, the file's name cannot be misread; and all names are relative: the script is bytes, a folder's is text
    await symlink(resolve(file), join(scratch, 'disk'));
    const env = { E2FSPROGS_FAKE_TIME: String(epoch), E2FSCK_TIME: String(epoch), DEBUGFS_PAGER: 'cat' };
    const run = { cwd: scratch, env };
    await sideBySide([
      async () => refuseComplaints(await runProgram('e2image', ['-r', '-o', String(offset), 'disk', 'metadata'], run)),
      async () => {
        const script = (await editScript(changes, scratch)).map((line) => `${line}\n`);
        await writeFile(join(scratch, 'script'), Buffer.from(script.join(''), 'latin1'));
      },
    ]);
    refuseComplaints(await runProgram('debugfs', ['-w', '-z', 'undo', '-f', 'script', 'metadata'], run));
    const check = await runProgram('e2fsck', ['-fn', 'metadata'], { ...run, accept: [0, 1, 2, 4, 8, 12] });
    if (check.code !== 0)
      throw editFailed(`e2fsck says: ${check.stdout.toString().split('\n').slice(0, 8).join('; ')}`);
    return await readPatches(join(scratch, 'metadata'), join(scratch, 'undo'), offset);
  }, parent);
}

/** What debugfs wrote to `metadata`, as patches of a file in which the file system starts at `offset`. */
async function readPatches(metadata: string, undo: string, offset: number): Promise<readonly Patch[]> {
  const bytes = await readFile(undo);
  try {
    const ranges = rangesOfUndoFile(bytes);
    await using edited = await openFileReader(metadata);
    const patches: Patch[] = [];
    for (const { start, end } of ranges) {
      patches.push({ position: offset + start, bytes: await edited.read(start, end - start) });
    }
    return patches;
  } catch (error) {
    throw editFailed(`what debugfs changed is not clear: ${(error as Error).message}`);
  }
}

/** These programs end with 0 whatever happens: all that they say, but their version, is an error. */
function refuseComplaints({ stderr }: RunResult): void {
  const complaints = stderr.split('\n').filter((line) => line !== '' && !/^(debugfs|e2image) \d/.test(line));
  if (complaints.length > 0) throw editFailed(complaints.slice(0, 5).join('; '));
}

/**
 * The script for debugfs. `mkdir`, `write` and `symlink` act in the directory of the last `cd`, which every release of
 * debugfs understands; all other commands get absolute paths.
 */
async function editScript(changes: readonly Edit[], scratch: string): Promise<string[]> {
  const lines: string[] = [];
  for (const [index, { entry, path, action, label }] of changes.entries()) {
    const parent = dirname(path);
    const at = quote(`/${path}`);
    lines.push(`cd ${quote(`/${parent}`)}`);
    if (action === 'replace') lines.push(`rm ${at}`);
    if (entry.type === 'directory') lines.push(`mkdir ${quote(basename(path))}`);
    else if (entry.type === 'symlink') lines.push(`symlink ${quote(basename(path))} ${quote(entry.link!)}`);
    else {
      const staged = `file-${index}`;
      await stageContent(entry, join(scratch, staged));
      lines.push(`write ${quote(staged)} ${quote(basename(path))}`);
    }
    const format = { file: 0o100000, directory: 0o040000, symlink: 0o120000 }[entry.type as 'file'];
    const mode = entry.type === 'symlink' ? 0o777 : entry.mode & 0o7777;
    lines.push(`sif ${at} mode 0${(format | mode).toString(8)}`);
    lines.push(`sif ${at} uid ${entry.uid}`, `sif ${at} gid ${entry.gid}`);
    const xattrs: Xattr[] = [...(entry.xattrs ?? [])];
    if (label) xattrs.push({ name: 'security.selinux', value: Buffer.from(`${label}\0`, 'latin1') });
    for (const [number, xattr] of xattrs.entries()) {
      const value = `xattr-${index}-${number}`;
      await writeFile(join(scratch, value), xattr.value);
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
