import { stat } from 'node:fs/promises';
import { CosignError, parsePublicKey } from 'cosign-node-binding';
import { openDiskImage, probeCompression } from '@boxship/disk';
import { probeFilesystem } from '@boxship/filesystem';
import { baseImageFormats, type BaseImageFormat } from '@boxship/formats';
import { openFileReader, type Cache, type Progress } from '@boxship/host';
import { listLocalImages } from '@boxship/oci';
import { UserError, type Problem } from '@boxship/model';
import { inspectDevices } from './inspect-devices.ts';
import { inspectInstaller } from './inspect-installer.ts';
import { inspectFilesystem } from './inspect-filesystem.ts';
import { findReleaseDocument, inspectRelease } from './inspect-release.ts';
import { inspectSystem } from './inspect-system.ts';
import type { Inspection } from './inspection.ts';
import { attempt } from './problems.ts';
import { readUpdate } from './updates/index.ts';

export interface InspectOptions {
  /** Takes the plain form of what is compressed, once. */
  readonly cache: Cache;
  readonly progress?: Progress;
  /** Decides about signatures; without it they are told to be unchecked. */
  readonly publicKeyPem?: string;
}

/** `.tar`, plain or compressed: no image of a disk, whatever is in it. */
const TAR_NAME = /\.(tar|tar\.\w+|tgz|txz|tbz2?|tzst)$/;

/**
 * What is at `path`: the image of a disk in any format that a base image can have, a file system, the store or the release that
 * `boxship` wrote, an OCI layout or an archive of images. Nothing is unpacked; what is compressed is made plain in the cache.
 * Errors: NOT_FOUND, UNKNOWN_FILE, BAD_KEY, and those of the format when nothing at all can be read.
 */
export async function inspectPath(path: string, options: InspectOptions): Promise<Inspection> {
  const info = await stat(path).catch(() => {
    throw new UserError('NOT_FOUND', `there is no ${path}`, 'Name a file or a folder.');
  });
  if (options.publicKeyPem !== undefined) refuseBadKey(options.publicKeyPem);
  const document = await findReleaseDocument(path);
  if (document !== undefined) return await inspectRelease(document, options.publicKeyPem);
  if (info.isFile()) {
    if (info.size === 0) throw new UserError('UNKNOWN_FILE', `${path} is empty`);
    const update = await readUpdate(path);
    if (update) {
      return { ...(await headOf(path)), kind: 'update', format: update.format, update: update.content, problems: [] };
    }
    if ((await plainFilesystem(path)) !== undefined) return await asFilesystem(path, options);
  }
  const format = await findFormat(path);
  if (format) {
    try {
      return await asBaseImage(path, format, options);
    } catch (error) {
      // what is inside of a compressed file shows only now
      const isNone = error instanceof UserError && error.code === 'NO_PARTITION_TABLE';
      if (!isNone || !info.isFile()) throw error;
      return await asFilesystem(path, options);
    }
  }
  if (info.isDirectory() || TAR_NAME.test(path) || (await probeCompression(path)) === 'none') {
    const list = await listLocalImages(path, options.cache);
    if (list) {
      const head = await headOf(path);
      return { ...head, kind: 'images', format: list.kind, images: { images: list.images }, problems: [] };
    }
  }
  throw new UserError(
    'UNKNOWN_FILE',
    `${path} is nothing that Boxship reads or writes`,
    `Known: base images (${Object.keys(baseImageFormats).join(', ')}), ext4 file systems, releases and stores of Boxship, updates for RAUC, SWUpdate and Mender, OCI layouts and archives, docker save archives.`,
  );
}

function refuseBadKey(pem: string): void {
  try {
    parsePublicKey(pem);
  } catch (error) {
    if (!(error instanceof CosignError)) throw error;
    throw new UserError(error.code, error.message, error.hint);
  }
}

async function findFormat(path: string): Promise<BaseImageFormat | undefined> {
  for (const format of Object.values<BaseImageFormat>(baseImageFormats)) if (await format.probe(path)) return format;
  return undefined;
}

async function headOf(path: string): Promise<Pick<Inspection, 'inspectVersion' | 'path' | 'size' | 'compression'>> {
  const info = await stat(path);
  if (!info.isFile()) return { inspectVersion: 1, path };
  const compression = await probeCompression(path);
  return { inspectVersion: 1, path, size: info.size, ...(compression === 'none' ? {} : { compression }) };
}

async function plainFilesystem(path: string): Promise<string | undefined> {
  await using reader = await openFileReader(path);
  return await probeFilesystem(reader);
}

async function asFilesystem(path: string, { cache, progress, publicKeyPem }: InspectOptions): Promise<Inspection> {
  await using image = await openDiskImage(path, { cache, ...(progress ? { progress } : {}) });
  const problems: Problem[] = [];
  const filesystem = await inspectFilesystem(image, publicKeyPem, problems);
  if (filesystem.kind === 'unknown') {
    throw new UserError('UNKNOWN_FILE', `${path} holds neither a partition table nor a file system that is known`);
  }
  return { ...(await headOf(path)), kind: 'filesystem', format: filesystem.kind, filesystem, problems };
}

async function asBaseImage(path: string, format: BaseImageFormat, options: InspectOptions): Promise<Inspection> {
  const { cache, progress, publicKeyPem } = options;
  await using image = await format.read(path, { cache, ...(progress ? { progress } : {}) });
  const problems: Problem[] = [...image.warnings];
  const head = await headOf(path);
  if (image.tezi) {
    const parts = await inspectInstaller(image, image.tezi, publicKeyPem, problems);
    return { ...head, kind: 'installer', format: format.name, ...parts, problems };
  }
  if (image.devices.length === 0) {
    const system = await attempt(problems, async () => await inspectSystem((await image.openRootfs({})).files));
    const filesystem = { kind: format.name, ...(system ? { system } : {}) };
    return { ...head, kind: 'filesystem', format: format.name, filesystem, problems };
  }
  const devices = await inspectDevices(image, publicKeyPem);
  return { ...head, kind: 'disk', format: format.name, devices, problems };
}
