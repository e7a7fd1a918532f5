import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { mkdir, open, readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { decompressTo, probeCompression } from '@boxship/disk';
import { createTarParser, isZip, readZip } from '@boxship/filesystem';
import { openFileReader, type Cache, type Progress } from '@boxship/host';
import { digestHex, MiB, UserError, type Digest, type RandomReader } from '@boxship/model';

export const IMAGE_JSON = 'image.json';

/** The files of an image for Toradex Easy Installer, in a folder of this host. */
export interface TeziFolder {
  readonly path: string;
  /** Names relative to `path`, sorted. */
  readonly names: readonly string[];
}

/** What lies in front of image.json in an archive: one folder, as vendors wrap it. */
const MAX_DEPTH = 2;
/** A vendor's image has a dozen files. */
const MAX_FILES = 4096;

/** Whether `path` is such an image: a folder with image.json, or an archive of one by its first names. */
export async function isTezi(path: string): Promise<boolean> {
  const info = await stat(path);
  if (info.isDirectory()) return (await stat(join(path, IMAGE_JSON)).catch(() => undefined))?.isFile() ?? false;
  if (!info.isFile()) return false;
  return (await findImageJson(path)) !== undefined;
}

/**
 * The folder at `path`, or what the archive at `path` holds (tar, plain or with gzip, xz, zstd or bzip2; zip), unpacked once
 * into the cache. Errors: TEZI_NO_IMAGE_JSON, TEZI_AMBIGUOUS, TEZI_UNSAFE_NAME, those of the archive.
 */
export async function openTeziFolder(
  path: string,
  { cache, digest, progress }: { readonly cache: Cache; readonly digest: () => Promise<Digest>; readonly progress?: Progress },
): Promise<TeziFolder> {
  if ((await stat(path)).isDirectory()) return await listFolder(path, path);
  const unpacked = await cache.get('tezi', digestHex(await digest()), async (target) => {
    await mkdir(target);
    const step = progress?.start(`unpacking ${path}`);
    try {
      await unpack(path, target);
    } finally {
      step?.end();
    }
  });
  return await listFolder(unpacked, path);
} // prettier-ignore

async function listFolder(folder: string, shown: string): Promise<TeziFolder> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const all: string[] = [];
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    const isFile = entry.isFile() || (entry.isSymbolicLink() && (await stat(path).catch(() => undefined))?.isFile());
    if (isFile) all.push(path.slice(folder.length + 1));
    if (all.length > MAX_FILES) throw new UserError('TEZI_TOO_MANY_FILES', `${shown} has more than ${MAX_FILES} files`);
  }
  const found = all.filter((name) => name === IMAGE_JSON || name.endsWith(`/${IMAGE_JSON}`));
  const depth = (name: string) => name.split('/').length;
  const nearest = Math.min(...found.map(depth));
  const candidates = found.filter((name) => depth(name) === nearest);
  if (candidates.length === 0 || nearest > MAX_DEPTH) {
    throw new UserError(
      'TEZI_NO_IMAGE_JSON',
      `${shown} has no ${IMAGE_JSON}, nor has a folder in it`,
      'Name the folder or the archive of one image for Toradex Easy Installer.',
    );
  }
  if (candidates.length > 1) {
    throw new UserError(
      'TEZI_AMBIGUOUS',
      `${shown} holds ${candidates.length} images: ${candidates.sort().join(', ')}`,
      'Name the folder of one of them.',
    );
  }
  const wrapper = candidates[0]!.slice(0, -IMAGE_JSON.length);
  const names = all.filter((name) => name.startsWith(wrapper)).map((name) => name.slice(wrapper.length));
  return { path: join(folder, wrapper).replace(/\/$/, ''), names: names.sort() };
}

/** The archive's entry that looks like image.json; undefined for a file of another kind. Reads no more than its start. */
async function findImageJson(path: string): Promise<string | undefined> {
  const isImageJson = (name: string) => /^(\.\/)?([^/]+\/)?image\.json$/.test(name);
  const reader = await openFileReader(path);
  try {
    if (reader.size < 512) return undefined;
    if (await isZip(reader)) return (await readZip(reader, path)).find(({ rawName }) => isImageJson(rawName))?.rawName;
  } catch (error) {
    if (error instanceof UserError) return undefined; // another format may know it
    throw error;
  } finally {
    await reader.close();
  }
  if ((await probeCompression(path)) === 'none') return await findInTar(path, isImageJson);
  return /\.(tar\.\w+|tgz|txz|tbz2?|tzst)$/.test(path) ? await findInCompressedTar(path, isImageJson) : undefined;
}

/** How far into a compressed archive is looked: Toradex's build puts image.json first (image_type_tezi.bbclass). */
const COMPRESSED_LOOK = 64 * MiB;

async function findInCompressedTar(path: string, matches: (name: string) => boolean): Promise<string | undefined> {
  const done = new Error('enough was seen');
  let found: string | undefined;
  let seen = 0;
  const parser = createTarParser({ entry: ({ rawName }) => void (found ??= matches(rawName) ? rawName : undefined) });
  const compression = await probeCompression(path);
  if (compression === 'none') return undefined;
  await decompressTo(path, compression, async (bytes) => {
    parser.push(bytes);
    seen += bytes.length;
    if (found !== undefined || seen > COMPRESSED_LOOK) throw done;
  }).catch((error: unknown) => {
    if (error !== done && !(error instanceof UserError)) throw error;
  });
  return found;
}

/** Walks the headers of a plain tar archive; contents are skipped. */
async function findInTar(path: string, matches: (name: string) => boolean): Promise<string | undefined> {
  const reader = await openFileReader(path);
  try {
    for (let position = 0, files = 0; position + 512 <= reader.size && files < MAX_FILES; files++) {
      const header = Buffer.from(await reader.read(position, 512));
      if (header.toString('latin1', 257, 262) !== 'ustar') return undefined;
      const name = header.toString('latin1', 0, 100).replace(/\0.*$/s, '');
      const prefix = header.toString('latin1', 345, 500).replace(/\0.*$/s, '');
      const whole = prefix ? `${prefix}/${name}` : name;
      if (matches(whole)) return whole;
      const size = Number.parseInt(header.toString('latin1', 124, 135), 8);
      if (!Number.isFinite(size)) return undefined;
      position += 512 + Math.ceil(size / 512) * 512;
    }
    return undefined;
  } finally {
    await reader.close();
  }
}

async function unpack(path: string, target: string): Promise<void> {
  const reader = await openFileReader(path);
  try {
    if (await isZip(reader)) return await unpackZip(reader, path, target);
  } finally {
    await reader.close();
  }
  await unpackTar(path, target);
}

async function unpackZip(reader: RandomReader, path: string, target: string): Promise<void> {
  for (const entry of await readZip(reader, path)) {
    if (entry.type === 'other') throw strange(path, entry.rawName, 'is neither a file nor a folder');
    if (entry.type === 'directory') continue;
    const file = join(target, entry.path);
    await mkdir(dirname(file), { recursive: true });
    const handle = await open(file, 'wx');
    try {
      for await (const chunk of entry.open()) await handle.writeFile(chunk);
    } finally {
      await handle.close();
    }
  }
}

async function unpackTar(path: string, target: string): Promise<void> {
  let file: number | undefined;
  const close = () => {
    if (file !== undefined) closeSync(file);
    file = undefined;
  };
  const parser = createTarParser(
    {
      entry(entry) {
        close();
        if (entry.type === 'directory') return;
        if (entry.type !== 'file' || entry.segments) throw strange(path, entry.rawName, `is a ${entry.segments ? 'sparse file' : entry.type}`);
        const at = join(target, Buffer.from(entry.path, 'latin1').toString());
        mkdirSync(dirname(at), { recursive: true });
        file = openSync(at, 'w');
      },
      data(bytes) {
        for (let done = 0; done < bytes.length;) done += writeSync(file!, bytes, done);
      },
    },
    { name: path },
  ); // prettier-ignore
  try {
    const compression = await probeCompression(path);
    if (compression === 'none') {
      const handle = await open(path, 'r');
      for await (const chunk of handle.createReadStream({ highWaterMark: 1 << 20 })) parser.push(chunk as Buffer);
    } else await decompressTo(path, compression, async (bytes) => parser.push(bytes));
    parser.end();
  } finally {
    close();
  }
}

function strange(archive: string, name: string, what: string): UserError {
  return new UserError(
    'TEZI_UNSAFE_NAME',
    `${archive}: ${name} ${what}`,
    'An image for the installer holds plain files.',
  );
}

/** Text of image.json. */
export async function readImageText(folder: TeziFolder): Promise<string> {
  return await readFile(join(folder.path, IMAGE_JSON), 'utf8');
}
