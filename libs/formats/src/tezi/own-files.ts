import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { decompressTo, probeCompression } from '@boxship/disk';
import { createTarParser, tarHeader } from '@boxship/filesystem';
import { alignUp, MiB, UserError, type ArtifactOptions, type Digest } from '@boxship/model';

/** Options of an artifact that name a file beside the product file, and the field of image.json that names it there. */
const FIELDS = { license: 'license', releaseNotes: 'releasenotes', marketing: 'marketing', icon: 'icon' } as const;
/** The same, for files that the installer puts into the rootfs. */
const PROVISIONING = ['provisioning', 'onlineProvisioning'] as const;

/** Every option that names a file. */
export const FILE_OPTIONS: readonly string[] = [...Object.keys(FIELDS), ...PROVISIONING];

/** Where the update client of Torizon keeps what it knows of its server (aktualizr-torizon, auto-provisioning.service). */
const CLIENT_FOLDER = 'sota';
const ONLINE_FILE = 'auto-provisioning.json';

/** A file of the product that goes into the archive. */
export interface OwnFile {
  /** In the archive. */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Field of image.json that holds the name. */
  readonly field?: string;
  /** Where it is unpacked in the rootfs, and how many bytes of the file system that takes. */
  readonly unpacked?: { readonly folder: string; readonly bytes: number };
}

/** Read whole, and the installer keeps what it shows in memory. */
const LARGEST = 64 * MiB;

/** What a file of the product is called in the archive: no vendor's file has such a name. */
export function ownFileName(option: string, path: string): string {
  if (option === 'onlineProvisioning') return 'boxship-online-provisioning.tar';
  return `boxship-${option.toLowerCase()}${/(\.tar)?\.[A-Za-z0-9]+$/.exec(path)?.[0] ?? ''}`;
}

/**
 * The files that the options name. `pathOf` says where each lies on this host, `varFolder` what /var is in the rootfs.
 * Errors: FILE_CHANGED, FILE_TOO_LARGE, BAD_PROVISIONING.
 */
export async function readOwnFiles(
  options: ArtifactOptions,
  varFolder: string,
  pathOf: (option: string, written: string) => string,
  epoch: number,
): Promise<readonly OwnFile[]> {
  const files: OwnFile[] = [];
  for (const option of FILE_OPTIONS) {
    const written = options[option];
    if (typeof written !== 'string') continue;
    const path = pathOf(option, written);
    const name = ownFileName(option, written);
    if (option === 'onlineProvisioning') {
      // of a composed image the archive is at hand, not what it was made of
      const bytes = path.endsWith(name) ? await readFile(path) : onlineArchive(path, await read(path, options, option), epoch);
      files.push({ name, bytes, unpacked: { folder: `${varFolder}/${CLIENT_FOLDER}/`, bytes: 4096 } });
    } else if (option === 'provisioning') {
      const bytes = await read(path, options, option);
      files.push({ name, bytes, unpacked: { folder: `${varFolder}/${CLIENT_FOLDER}/import/`, bytes: await unpackedBytes(path) } });
    } else {
      files.push({ name, bytes: await read(path, options, option), field: FIELDS[option as keyof typeof FIELDS] });
    }
  }
  return files;
} // prettier-ignore

async function read(path: string, options: ArtifactOptions, option: string): Promise<Buffer> {
  const { size } = await stat(path);
  if (size > LARGEST) {
    const hint = 'It travels in the archive beside the images; make it smaller.';
    throw new UserError('FILE_TOO_LARGE', `${path} has ${size} bytes; at most ${LARGEST} are possible`, hint);
  }
  const bytes = await readFile(path);
  const digest: Digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const planned = options[`${option}Digest`];
  if (planned !== undefined && planned !== digest) {
    throw new UserError(
      'FILE_CHANGED',
      `${path} has the digest ${digest}, the plan has ${String(planned)}`,
      'Run it again.',
    );
  }
  return bytes;
}

/** Credentials: for root alone. Errors: BAD_PROVISIONING. */
function onlineArchive(path: string, json: Buffer, epoch: number): Buffer {
  try {
    JSON.parse(json.toString());
  } catch (error) {
    throw new UserError(
      'BAD_PROVISIONING',
      `${path} is no JSON: ${(error as Error).message}`,
      'Give what the platform shows for online provisioning, decoded from base64.',
    );
  }
  const common = { uid: 0, gid: 0, mtime: epoch, mtimeNanoseconds: 0 };
  const header = tarHeader({ ...common, path: ONLINE_FILE, type: 'file', mode: 0o640, size: json.length });
  const padding = Buffer.alloc(alignUp(json.length, 512) - json.length);
  return Buffer.concat([header, json, padding, Buffer.alloc(1024)]);
}

/** Bytes that the archive takes in a file system with blocks of 4 KiB. Errors: BAD_PROVISIONING. */
async function unpackedBytes(path: string): Promise<number> {
  let blocks = 0;
  const parser = createTarParser(
    {
      entry: ({ type, size }) => void (blocks += type === 'directory' ? 1 : Math.ceil(size / 4096)),
      data() {},
    },
    { name: path },
  );
  try {
    const compression = await probeCompression(path);
    if (compression === 'none') parser.push(await readFile(path));
    else await decompressTo(path, compression, async (bytes) => parser.push(bytes));
    parser.end();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(
      'BAD_PROVISIONING',
      `${path} is no tar archive: ${error.message}`,
      'Give the archive of shared data (.tar, .tar.gz, .tar.xz).',
    );
  }
  return blocks * 4096;
}
