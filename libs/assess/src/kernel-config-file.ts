import { readFile, stat } from 'node:fs/promises';
import { gunzipSync, inflateRawSync } from 'node:zlib';
import { parseKernelConfig, type KernelConfig } from '@boxship/filesystem';
import { MiB, UserError } from '@boxship/model';

/** Kernel images are smaller, and configurations much smaller. */
const LARGEST = 256 * MiB;
/** What CONFIG_IKCONFIG puts around the gzipped configuration: kernel/configs.c, scripts/extract-ikconfig. */
const IKCONFIG_START = Buffer.from('IKCFG_ST', 'latin1');
const GZIP_MAGIC = Buffer.from([0x1f, 0x8b, 0x08]);

/**
 * Reads a kernel's configuration: a `.config`, a copy of `/proc/config.gz`, or a kernel image that was built with
 * CONFIG_IKCONFIG and is not compressed, or with gzip (`Image`, `Image.gz`, `vmlinux`, `zImage` and `bzImage` of gzip).
 * Errors: NO_KERNEL_CONFIG, KERNEL_CONFIG_TRUNCATED, NOT_A_KERNEL_CONFIG, NO_IKCONFIG.
 */
export async function readKernelConfigFile(path: string): Promise<KernelConfig> {
  const info = await stat(path).catch(() => undefined);
  if (!info?.isFile()) {
    throw new UserError('NO_KERNEL_CONFIG', `there is no file ${path}`, 'Name the .config of the kernel build, or a copy of /proc/config.gz.'); // prettier-ignore
  }
  if (info.size > LARGEST) {
    throw new UserError(
      'NOT_A_KERNEL_CONFIG',
      `${path} has ${info.size} bytes: no kernel is as large`,
      'Name a .config.',
    );
  }
  const bytes = await readFile(path);
  const text = isBinary(bytes) ? configInside(path, bytes) : bytes.toString('utf8');
  return checkWhole(path, parseKernelConfig(text), text);
}

function isBinary(bytes: Buffer): boolean {
  return bytes.subarray(0, 4096).includes(0) || bytes.subarray(0, 3).equals(GZIP_MAGIC);
}

/** The configuration in a gzip file, or in a kernel image. */
function configInside(path: string, bytes: Buffer): string {
  if (bytes.subarray(0, 3).equals(GZIP_MAGIC)) {
    const inside = gunzip(path, bytes);
    return isBinary(inside) ? fromImage(path, inside) : inside.toString('utf8');
  }
  return fromImage(path, bytes);
}

function gunzip(path: string, bytes: Buffer): Buffer {
  try {
    return gunzipSync(bytes, { maxOutputLength: LARGEST });
  } catch (error) {
    const { message } = error as Error;
    throw new UserError('KERNEL_CONFIG_TRUNCATED', `${path} is not a whole gzip file: ${message}`, 'Copy it again.');
  }
}

function fromImage(path: string, bytes: Buffer): string {
  const direct = embedded(bytes);
  if (direct !== undefined) return direct;
  // a compressed kernel inside: unpack every gzip stream that there is, and look again
  for (let at = bytes.indexOf(GZIP_MAGIC); at >= 0; at = bytes.indexOf(GZIP_MAGIC, at + 1)) {
    const inside = startOfGzip(bytes.subarray(at));
    const config = inside && embedded(inside);
    if (config !== undefined) return config;
  }
  throw new UserError(
    'NO_IKCONFIG',
    `${path} holds no kernel configuration that can be read`,
    'A kernel has one when it was built with CONFIG_IKCONFIG; unpack other compression than gzip first (the kernel has scripts/extract-vmlinux), or give the .config of the build.',
  );
}

/** The text between the marks of CONFIG_IKCONFIG. */
function embedded(bytes: Buffer): string | undefined {
  const start = bytes.indexOf(IKCONFIG_START);
  if (start < 0) return undefined;
  return startOfGzip(bytes.subarray(start + IKCONFIG_START.length))?.toString('utf8');
}

/** A gzip stream with other bytes behind it, which zlib's own reader takes for damage: its header by hand (RFC 1952 2.3). */
function startOfGzip(bytes: Buffer): Buffer | undefined {
  if (!bytes.subarray(0, 3).equals(GZIP_MAGIC)) return undefined;
  const flags = bytes[3] ?? 0;
  let at = 10;
  if (flags & 4) at += 2 + (at + 2 <= bytes.length ? bytes.readUInt16LE(at) : 0);
  for (const named of [8, 16]) if (flags & named) at = bytes.indexOf(0, at) + 1 || bytes.length;
  if (flags & 2) at += 2;
  try {
    return inflateRawSync(bytes.subarray(at), { maxOutputLength: LARGEST });
  } catch {
    return undefined;
  }
}

/** Refuses what is not the whole of a configuration: a check of half of one would call options missing that are there. */
function checkWhole(path: string, config: KernelConfig, text: string): KernelConfig {
  const count = Object.keys(config.options).length;
  if (count === 0) {
    throw new UserError('NOT_A_KERNEL_CONFIG', `${path} has no line CONFIG_…=…`, 'Name a .config, or a copy of /proc/config.gz.'); // prettier-ignore
  }
  if (config.version === undefined) {
    throw new UserError(
      'NOT_A_KERNEL_CONFIG',
      `${path} has ${count} options and no header "# Linux/… Kernel Configuration": it is a defconfig or a fragment, which leaves out what is the default`,
      'Name the .config that the kernel build made of it (Yocto: tmp/work/…/linux-…/build/.config).',
    );
  }
  const lines = text.trimEnd().split('\n');
  const last = lines.at(-1)!.trim();
  // since Linux 5.2 the last menu of every architecture is "Kernel hacking", and each says where it ends
  const [major = 0, minor = 0] = config.version.split('.').map((part) => Number.parseInt(part, 10));
  const isCut =
    major > 5 || (major === 5 && minor >= 4)
      ? last !== '# end of Kernel hacking'
      : !/^(#.*|CONFIG_\w+=.*|)$/.test(last) || !text.endsWith('\n');
  if (isCut) {
    throw new UserError(
      'KERNEL_CONFIG_TRUNCATED',
      `${path} ends in its line ${lines.length} with "${last.slice(0, 60)}": it is not the whole configuration`,
      'Copy it again; a whole one ends with "# end of Kernel hacking".',
    );
  }
  return config;
}
