import { lstat, readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { baseImageFormats } from '@boxship/formats';
import { UserError, type Location } from '@boxship/model';

/** How images of a whole disk are named, plain or compressed; what is inside decides. */
const IMAGE_NAME = /\.(wic|img|raw|sdcard|sdimg|rpi-sdimg)(\.(gz|xz|zst|bz2))?$/;

/**
 * The one base image in a folder, as a build leaves it (`tmp/deploy/images/<machine>`). Where names are links to dated files,
 * as bitbake makes them, only the links count: they are the builder's word for the current build. A folder that is a base
 * image itself, as one for Toradex Easy Installer is, is taken as it is.
 * Errors: NO_BASE_IMAGE, SEVERAL_BASE_IMAGES, which names all.
 */
export async function pickFromFolder(folder: string, where?: Location): Promise<string> {
  if (await isBaseImage(folder)) return folder; // the folder itself is one
  const names = (await readdir(folder)).filter((name) => IMAGE_NAME.test(name)).sort();
  const found: { name: string; isLink: boolean; file: string }[] = [];
  for (const name of names) {
    const path = join(folder, name);
    const file = await realpath(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined; // a link to a build that was cleaned away
      throw error;
    });
    if (file && (await isBaseImage(file))) found.push({ name, isLink: (await lstat(path)).isSymbolicLink(), file });
  }
  const links = found.filter(({ isLink }) => isLink);
  const current = links.length > 0 ? links : found;
  const files = new Map(current.map((one) => [one.file, one])); // two links to one file are one image
  const [only, ...others] = files.values();
  if (only && others.length === 0) return join(folder, only.name);
  if (!only) {
    throw new UserError(
      'NO_BASE_IMAGE',
      `the folder ${folder} holds no base image${names.length > 0 ? `: ${names.join(', ')} hold no partition table` : ''}`,
      'Name the file, or a folder with one .wic or .img (also .gz, .xz, .zst, .bz2). For an OCI layout write oci:DIR.',
      where,
    );
  }
  throw new UserError(
    'SEVERAL_BASE_IMAGES',
    `the folder ${folder} holds ${files.size} base images: ${[...files.values()].map(({ name }) => name).join(', ')}`,
    `Name the one to take: base: ${join(folder, only.name)}`,
    where,
  );
}

async function isBaseImage(path: string): Promise<boolean> {
  for (const format of Object.values(baseImageFormats)) if (await format.probe(path)) return true;
  return false;
}
