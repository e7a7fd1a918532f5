// An installer for tests that follows the public description of Toradex Easy Installer ("Toradex Easy Installer
// Configuration Files" and "Image format" of developer.toradex.com): it lays an image onto a disk image with the real sfdisk,
// mkfs, tar and mtools. No code of Boxship is in it. It needs no root.
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { asRoot, run } from './program.mjs';

const MIB = 1 << 20;
const SECTORS_PER_MIB = MIB / 512;
/** Where the first partition begins, and what every one is aligned to. */
const ALIGNMENT = 4;

/**
 * Installs the image in `folder` onto the new file `disk` of `size` bytes; returns where the partitions are, in bytes. What the
 * real one would refuse or overlook is an error here: files that are absent, features newer than config_format, contents that
 * do not fit.
 */
export async function installTezi({ folder, disk, size, scratch }) {
  const image = JSON.parse(readFileSync(join(folder, 'image.json'), 'utf8'));
  if (typeof image.config_format !== 'number' && !/^[1-5]$/.test(image.config_format)) throw new Error('no config_format');
  const format = Number(image.config_format);
  const [device, ...others] = image.blockdevs;
  if (others.length > 0) throw new Error('this installer knows one device');
  const partitions = placePartitions(device.partitions, size / MIB);
  writeFileSync(disk, '');
  truncateSync(disk, size);
  const lines = partitions.map(({ start, size: mebibytes, type }, index) =>
    `${index + 1} : start=${start * SECTORS_PER_MIB}, size=${mebibytes * SECTORS_PER_MIB}, type=${type}`);
  await run('sfdisk', ['--quiet', disk], { input: `label: dos\n${lines.join('\n')}\n` });
  for (const [index, partition] of partitions.entries()) {
    const work = join(scratch, `partition-${index + 1}`);
    mkdirSync(work, { recursive: true });
    const file = join(work, 'filesystem.img');
    writeFileSync(file, '');
    truncateSync(file, partition.size * MIB);
    await fill(file, partition, { folder, work, format });
    await run('dd', [`if=${file}`, `of=${disk}`, 'bs=1M', `seek=${partition.start}`, 'conv=notrunc,sparse', 'status=none']);
    await run(...asRoot('rm', ['-rf', work]));
  }
  return partitions.map(({ start, size: mebibytes }, index) => ({ number: index + 1, start: start * MIB, size: mebibytes * MIB }));
} // prettier-ignore

/** The geometry of a NAND as in modules of the i.MX 6ULL: pages of 2 KiB, blocks of 128 KiB less two pages of UBI. */
const NAND = { page: 2048, block: 128 * 1024, logicalBlock: 128 * 1024 - 2 * 2048, mostBlocks: 4096 };

/**
 * Makes the content of the device `ubi` of an image for a module with NAND, as the new file `ubi`: UBIFS by mkfs.ubifs, volumes by
 * ubinize (mtd-utils), which refuse what does not fit. `look` is called with the files of each volume of files, before they go into it.
 */
export async function installTeziOnNand({ folder, ubi, scratch, look }) {
  const image = JSON.parse(readFileSync(join(folder, 'image.json'), 'utf8'));
  const { ubivolumes } = image.mtddevs.find(({ name }) => name === 'ubi');
  const lines = [];
  for (const [index, { name, size_kib, content }] of ubivolumes.entries()) {
    const work = join(scratch, name);
    mkdirSync(work, { recursive: true });
    const file = join(scratch, `${name}.volume`);
    if (content.filesystem_type === 'ubifs') {
      const root = await unpackAll(content, { folder, work, format: Number(image.config_format) });
      await look(name, root);
      const { page, logicalBlock, mostBlocks } = NAND;
      await run(...asRoot('mkfs.ubifs', ['-r', root, '-m', String(page), '-e', String(logicalBlock), '-c', String(mostBlocks), '-o', file]));
    } else writeFileSync(file, readFileSync(named(folder, (content.rawfile ?? content.rawfiles[0]).filename)));
    const size = size_kib === undefined ? [`vol_size=${statSync(file).size}`, 'vol_flags=autoresize'] : [`vol_size=${size_kib}KiB`];
    lines.push(`[${name}]`, 'mode=ubi', `image=${file}`, `vol_id=${index}`, 'vol_type=dynamic', `vol_name=${name}`, ...size, '');
    await run(...asRoot('rm', ['-rf', work]));
  }
  writeFileSync(join(scratch, 'ubinize.cfg'), lines.join('\n'));
  await run('ubinize', ['-o', ubi, '-m', String(NAND.page), '-p', String(NAND.block), join(scratch, 'ubinize.cfg')]);
} // prettier-ignore

/** Sizes as asked; what is left goes in equal parts to those that are to be maximised. */
function placePartitions(wanted, mebibytes) {
  const nominal = wanted.map(({ partition_size_nominal }) => Math.ceil(Number(partition_size_nominal) / ALIGNMENT) * ALIGNMENT);
  const left = mebibytes - ALIGNMENT - nominal.reduce((sum, one) => sum + one, 0);
  if (left < 0) throw new Error(`the device is ${-left} MiB too small`);
  const growing = wanted.filter(({ want_maximised }) => want_maximised).length;
  const share = growing === 0 ? 0 : Math.floor(left / growing / ALIGNMENT) * ALIGNMENT;
  let start = ALIGNMENT;
  return wanted.map(({ want_maximised, partition_type, content }, index) => {
    const size = nominal[index] + (want_maximised ? share : 0);
    const type = partition_type ?? (content.filesystem_type === 'FAT' ? 'c' : '83');
    start += size;
    return { start: start - size, size, type, content };
  });
} // prettier-ignore

async function fill(file, { size, content }, { folder, work, format }) {
  const { filesystem_type, label, mkfs_options = '', uncompressed_size } = content;
  const needed = Number(uncompressed_size ?? 0);
  if (needed > size)
    throw new Error(`${label ?? filesystem_type} unpacks to ${needed} MiB, its partition has ${size} MiB`);
  if (filesystem_type === 'raw') return await writeRawFiles(file, content, folder, size);
  const root = await unpackAll(content, { folder, work, format });
  const options = mkfs_options.split(' ').filter((word) => word !== '');
  if (filesystem_type === 'FAT') {
    await run('mkfs.vfat', ['-n', label, ...options, file]);
    await run('mcopy', ['-s', '-Q', '-i', file, ...readdirSync(root).map((name) => join(root, name)), '::']);
  } else if (/^ext[34]$/.test(filesystem_type)) {
    await run(...asRoot(`mkfs.${filesystem_type}`, ['-q', '-F', '-L', label, ...options, '-d', root, file]));
  } else throw new Error(`a file system ${filesystem_type} is not known`);
}

/** The archive of a file system and what its filelist adds, in a folder of `work`. */
async function unpackAll({ filename, filelist = [] }, { folder, work, format }) {
  const root = join(work, 'root');
  mkdirSync(root);
  if (filename) await unpack(named(folder, filename), root);
  for (const entry of filelist) {
    if (format < 3) throw new Error('a filelist needs config_format 3');
    const [source, target, unpacked] = entry.split(':');
    const into = join(root, target);
    await run(...asRoot('mkdir', ['-p', into]));
    if (unpacked) await unpack(named(folder, source), into);
    else await run(...asRoot('cp', [named(folder, source), into]));
  }
  return root;
}

async function writeRawFiles(file, { rawfiles, rawfile }, folder, mebibytes) {
  for (const { filename, dd_options = '' } of rawfiles ?? [rawfile]) {
    const source = named(folder, filename);
    if (statSync(source).size > mebibytes * MIB) throw new Error(`${filename} does not fit into ${mebibytes} MiB`);
    await run('dd', [`if=${source}`, `of=${file}`, 'conv=notrunc,sparse', 'status=none', ...dd_options.split(' ').filter(Boolean)]);
  }
} // prettier-ignore

async function unpack(archive, root) {
  const keep = ['--numeric-owner', '--xattrs', '--xattrs-include=*'];
  await run(...asRoot('tar', ['-C', root, '-xpf', archive, ...keep]));
}

function named(folder, name) {
  const path = join(folder, name);
  if (!/^[^/]+$/.test(name) || !existsSync(path)) throw new Error(`image.json names ${name}, which is not there`);
  return path;
}
