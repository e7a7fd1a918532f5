import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { copySparse } from '@boxship/disk';
import { planExt4, planFat, writeExt4, type FatNode } from '@boxship/filesystem';
import { openFileReader } from '@boxship/host';
import {
  alignUp,
  KiB,
  UserError,
  type RandomReader,
  type RandomWriter,
  type Tree,
  type TreeEntry,
} from '@boxship/model';
import type { WksPart } from '@boxship/yocto';
import type { RootfsSource } from './rootfs-source.ts';

/** What comes into a partition. */
export interface PartContent {
  /** Bytes of the partition. */
  readonly size: number;
  write(target: RandomWriter): Promise<void>;
}

export interface ContentOptions {
  readonly rootfs: RootfsSource;
  /** Files and folders on this host, or trees, by the names that the wks has for them. */
  readonly files: Readonly<Record<string, string | Tree>>;
  /** Seconds since 1970. */
  readonly epoch: number;
  /** A UUID for what nobody gave one. */
  readonly uuidOf: (role: string) => string;
}

/** Smallest ext4 with a journal that is of use. */
const LEAST_EXT4 = 4 * 1024 * KiB;
/** Sources whose content is the folder that is given for the partition. */
const FOLDER_SOURCES = new Set(['bootimg-partition', 'bootimg-efi', 'extra-partition']);

/**
 * Lays out what a line of a wks asks for. Errors, with the line: WKS_NOT_DONE, WKS_FILE, WKS_TOO_SMALL, WKS_CONTRADICTION,
 * those of the file systems.
 */
export async function planPart(part: WksPart, options: ContentOptions): Promise<PartContent> {
  const { source } = part;
  try {
    if (source === 'rootfs') return await planRootfs(part, options);
    if (source === 'rawcopy') return await planRawCopy(part, options);
    if (source === undefined || source === 'empty' || FOLDER_SOURCES.has(source))
      return await planFolder(part, options);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(error.problems.map((problem) => ({ ...problem, where: problem.where ?? part.where })));
  }
  throw notDone(
    part,
    `--source ${source} is not done here`,
    'Let wic make the image, or give the content: --source rawcopy.',
  );
}

function notDone({ where }: WksPart, message: string, hint: string): UserError {
  return new UserError('WKS_NOT_DONE', message, hint, where);
}

/** The size that the line fixes, or the one that its content needs, by wic's rules. */
function sizeOf({ size = 0, fixedSize, extraSpace, overheadFactor }: WksPart, contentBytes: number): number {
  if (fixedSize !== undefined) return fixedSize;
  return alignUp(Math.max(size, contentBytes * overheadFactor + extraSpace), KiB);
}

async function planRootfs(part: WksPart, { rootfs, epoch, uuidOf }: ContentOptions): Promise<PartContent> {
  const { fstype = 'ext4', where } = part;
  if (fstype !== 'ext4') throw notDone(part, `a rootfs with --fstype ${fstype} is not made`, 'Known: ext4, because the device must be able to write to it.'); // prettier-ignore
  if ('image' in rootfs) return planImage(part, rootfs.image);
  return planTree(part, rootfs.tree, { epoch, uuid: part.fsUuid ?? uuidOf(`rootfs ${where.line}`), seed: uuidOf(`hash ${where.line}`) }); // prettier-ignore
}

/** An ext4 that is there is taken as it is: the partition may be larger. */
function planImage(part: WksPart, image: RandomReader): PartContent {
  if (part.label !== undefined || part.fsUuid !== undefined) {
    throw new UserError('WKS_CONTRADICTION', 'the rootfs is an ext4 image with a label and a UUID of its own', 'Take --label and --fsuuid out, or give the rootfs as a tar archive.', part.where); // prettier-ignore
  }
  const size = part.fixedSize ?? Math.max(part.size ?? 0, image.size);
  refuseTooSmall(part, size, image.size);
  return { size, write: async (target) => void (await copySparse(image, target, [{ start: 0, end: image.size }])) };
}

function refuseTooSmall({ where }: WksPart, size: number, needed: number): void {
  if (needed <= size) return;
  throw new UserError('WKS_TOO_SMALL', `the partition has ${size} bytes, its content ${needed}`, 'Raise --fixed-size, or use --size, which is a least one.', where); // prettier-ignore
}

function planTree(
  part: WksPart,
  tree: Tree,
  { epoch, uuid, seed }: { readonly epoch: number; readonly uuid: string; readonly seed: string },
): PartContent {
  let contentBytes = 0;
  for (const { type, size } of tree.entries()) contentBytes += type === 'directory' ? 4096 : alignUp(size, 4096);
  const size = Math.max(sizeOf(part, contentBytes), part.fixedSize ?? LEAST_EXT4);
  const plan = planExt4(tree, { uuid, hashSeed: seed, label: part.label ?? '', epoch, size: { exact: size } });
  return { size, write: (target) => writeExt4(plan, target) };
}

/** `--sourceparams="file=u-boot.bin,skip=1"`: bytes as they are, without the first `skip` KiB. */
async function planRawCopy(part: WksPart, { files }: ContentOptions): Promise<PartContent> {
  const { file, skip = '0', ...others } = part.sourceParameters;
  const strange = Object.keys(others).filter((name) => name !== 'unpack');
  if (strange.length > 0 || !/^\d+$/.test(skip)) throw notDone(part, `rawcopy does not know ${strange.join(', ') || `skip=${skip}`}`, 'Known: file, skip (KiB).'); // prettier-ignore
  if (file === undefined) throw new UserError('WKS_FILE', 'rawcopy names no file', 'Write --sourceparams="file=NAME".', part.where); // prettier-ignore
  const path = files[file];
  if (typeof path !== 'string') throw missing(part, file);
  const start = Number(skip) * KiB;
  await using reader = await openFileReader(path);
  const bytes = reader.size - start;
  const size = part.fixedSize ?? alignUp(Math.max(part.size ?? 0, bytes), KiB);
  refuseTooSmall(part, size, bytes);
  return {
    size,
    async write(target) {
      await using source = await openFileReader(path);
      const content: RandomReader = { size: bytes, read: (position, length) => source.read(start + position, length) };
      await copySparse(content, target, [{ start: 0, end: bytes }]);
    },
  };
}

function missing({ where }: WksPart, name: string): UserError {
  return new UserError(
    'WKS_FILE',
    `the wks asks for "${name}"`,
    `Say where it is: base: { files: { ${name}: ./… } }.`,
    where,
  );
}

/** A partition whose content is a folder, or nothing. */
async function planFolder(part: WksPart, { files, epoch, uuidOf }: ContentOptions): Promise<PartContent> {
  const { source, mountPoint, label, where, fstype = source?.startsWith('bootimg') ? 'vfat' : undefined } = part;
  const name = mountPoint ?? label;
  const folder = name === undefined ? undefined : files[name];
  if (source !== undefined && source !== 'empty' && folder === undefined) throw missing(part, name ?? 'a mount point');
  if (typeof folder === 'string' && !(await stat(folder)).isDirectory()) {
    throw new UserError('WKS_FILE', `${folder}, the content of "${name}", is no folder`, undefined, where);
  }
  if (fstype === undefined || fstype === 'none') {
    if (folder !== undefined) throw notDone(part, `without --fstype there is no place for the files of "${name}"`, 'Known: vfat, ext4.'); // prettier-ignore
    const size = part.fixedSize ?? part.size;
    if (size === undefined) throw new UserError('WKS_BAD_VALUE', 'an empty partition has no size', 'Write --size or --fixed-size.', where); // prettier-ignore
    return { size, write: async () => {} };
  }
  if (fstype === 'ext4') {
    const tree = typeof folder === 'object' ? folder : await folderTree(folder, epoch);
    return planTree(part, tree, { epoch, uuid: part.fsUuid ?? uuidOf(`fs ${where.line}`), seed: uuidOf(`hash ${where.line}`) }); // prettier-ignore
  }
  if (fstype !== 'vfat' && fstype !== 'msdos')
    throw notDone(part, `--fstype ${fstype} is not made`, 'Known: vfat, ext4.');
  const nodes = folder === undefined ? [] : typeof folder === 'string' ? await fatNodes(folder) : treeNodes(folder);
  const bytes = (list: readonly FatNode[]): number =>
    list.reduce((sum, node) => sum + 4096 + (node.children ? bytes(node.children) : alignUp(node.size ?? 0, 4096)), 0);
  const size = alignUp(sizeOf(part, bytes(nodes)), 1024 * KiB);
  const plan = planFat(nodes, {
    size,
    label: (label ?? '').slice(0, 11),
    volumeId: part.fsUuid?.slice(0, 8) ?? uuidOf(`fat ${where.line}`).slice(0, 8),
    epoch,
    ...fatBits(part),
  });
  return { size, write: (target) => plan.write(target) };
}

/** `--mkfs-extraopts "-F 32"`, the one option of mkfs.fat that is understood; `-S 512` is what we do. */
function fatBits(part: WksPart): { readonly bits?: 16 | 32 } {
  const words = (part.mkfsOptions ?? '').replace(/-([FS])\s+/g, '-$1').split(/\s+/).filter(Boolean); // prettier-ignore
  const other = words.filter((word) => !/^-F(16|32)$|^-S512$/.test(word));
  if (other.length > 0)
    throw notDone(part, `--mkfs-extraopts ${other.join(' ')} is not done for FAT`, 'Known: -F 16, -F 32.');
  const bits = words.find((word) => word.startsWith('-F'))?.slice(2);
  return bits === undefined ? {} : { bits: bits === '32' ? 32 : 16 };
}

async function fatNodes(folder: string): Promise<FatNode[]> {
  const nodes: FatNode[] = [];
  for (const entry of (await readdir(folder, { withFileTypes: true })).sort(byName)) {
    const path = join(folder, entry.name);
    const info = await stat(path); // a link is what it leads to: FAT has none
    if (info.isDirectory()) nodes.push({ name: entry.name, children: await fatNodes(path) });
    else nodes.push({ name: entry.name, size: info.size, open: () => createReadStream(path) });
  }
  return nodes;
}

/** Files and folders of a tree, which is in an order that has a folder before what is in it. Errors: FAT_NO_LINKS. */
function treeNodes(tree: Tree): FatNode[] {
  const root: FatNode[] = [];
  const folders = new Map([['', root]]);
  const contents = new Map<string, FatNode>();
  for (const { path, type, size, content, link } of tree.entries()) {
    if (path === '') continue;
    const at = path.lastIndexOf('/');
    const name = Buffer.from(path.slice(at + 1), 'latin1').toString();
    const siblings = folders.get(path.slice(0, Math.max(at, 0)))!;
    if (type === 'directory') {
      const children: FatNode[] = [];
      folders.set(path, children);
      siblings.push({ name, children });
    } else if (type === 'file') {
      const node: FatNode = { name, size, ...(content && 'source' in content ? { open: () => content.source.open() } : {}) }; // prettier-ignore
      contents.set(path, node);
      siblings.push(node);
    } else if (type === 'hardlink') siblings.push({ ...contents.get(link!)!, name });
    else throw new UserError('FAT_NO_LINKS', `FAT cannot hold /${path}, a ${type}`, 'Use files and folders alone.');
  }
  return root;
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return Buffer.compare(Buffer.from(a.name), Buffer.from(b.name));
}

/** Files of a folder for root: what the build host has of owners, times and modes is nobody's business. */
async function folderTree(folder: string | undefined, epoch: number): Promise<Tree> {
  const entries: TreeEntry[] = [];
  const common = { uid: 0, gid: 0, mtime: epoch, mtimeNanoseconds: 0 };
  const add = async (path: string, at: string | undefined): Promise<void> => {
    entries.push({ ...common, path, type: 'directory', mode: 0o755, size: 0 });
    if (at === undefined) return;
    for (const entry of (await readdir(at, { withFileTypes: true })).sort(byName)) {
      const [inside, file] = [path === '' ? entry.name : `${path}/${entry.name}`, join(at, entry.name)];
      const info = await stat(file);
      const bytePath = Buffer.from(inside).toString('latin1');
      if (info.isDirectory()) await add(bytePath, file);
      else {
        const source = { id: `file:${file}`, size: info.size, open: () => createReadStream(file) };
        const content = info.size > 0 ? { content: { source, offset: 0 } } : {};
        entries.push({ ...common, path: bytePath, type: 'file', mode: info.mode & 0o111 ? 0o755 : 0o644, size: info.size, ...content }); // prettier-ignore
      }
    }
  };
  await add('', folder);
  return { entries: () => entries };
}
