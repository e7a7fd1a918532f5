import type { DeviceFacts, SocketFacts } from '@boxship/model';
import { parseAssignments } from './assignments.ts';
import { readEngineFacts } from './engine-facts.ts';
import type { RootfsReader } from './rootfs-reader.ts';
import { readSelinuxPolicy } from './file-contexts.ts';
import { readKernelConfig } from './kernel-config.ts';
import { readPackageVersions } from './package-versions.ts';

/** Folders that a service's PATH has, in the order of systemd's default. */
const PROGRAM_FOLDERS = ['usr/local/sbin', 'usr/local/bin', 'usr/sbin', 'usr/bin', 'sbin', 'bin'];

/** Programs that the device socket, the apps' units or the plan's warnings ask for. */
const PROGRAMS = [
  'sh', 'busybox', 'dd', 'od', 'gzip', 'sha256sum', 'sed', 'grep', 'sort', 'find', 'tail', 'head', 'tr', 'cut', 'wc', 'cmp',
  'openssl', 'systemctl', 'udevadm', 'mount', 'mountpoint', 'fsck.ext4', 'resize2fs', 'sfdisk', 'blockdev', 'partx',
  'resizepart', 'partprobe', 'docker', 'docker-compose', 'ctr', 'apparmor_parser', 'iptables', 'modprobe',
]; // prettier-ignore

/** What the rootfs of a base image says of the device. Errors: those of `RootfsReader`. */
export async function readDeviceFacts(fs: RootfsReader): Promise<DeviceFacts> {
  const mergedUsr = (await fs.lstat('lib'))?.type !== 'directory';
  const rootUnits = !mergedUsr && (await fs.exists('lib/systemd/system'));
  const init = await fs.realPath('sbin/init');
  const systemd = await firstOf(fs, ['usr/lib/systemd/systemd', 'lib/systemd/systemd']);
  const programs: Record<string, string> = {};
  for (const name of PROGRAMS) {
    const found = await findProgram(fs, name);
    if (found) programs[name] = found;
  }
  const growfs = await firstOf(fs, ['usr/lib/systemd/systemd-growfs', 'lib/systemd/systemd-growfs']);
  if (growfs) programs['systemd-growfs'] = `/${growfs}`;
  const packages = await readPackageVersions(fs);
  const systemdVersion = await readSystemdVersion(fs, packages);
  const mounts = parseFstab((await fs.readText('etc/fstab')) ?? '');
  const kernel = await readKernelConfig(fs);
  const socket = await readSocket(fs);
  return {
    osRelease: parseAssignments(
      (await fs.readText('etc/os-release')) ?? (await fs.readText('usr/lib/os-release')) ?? '',
    ),
    init: systemd && (init === undefined || init === (await fs.realPath(systemd))) ? 'systemd' : 'other',
    ...(systemdVersion === undefined ? {} : { systemdVersion }),
    unitDirectory: rootUnits ? '/lib/systemd/system' : '/usr/lib/systemd/system',
    mergedUsr,
    selinux: (await readSelinuxPolicy(fs)) !== undefined,
    apparmorParser: programs['apparmor_parser'] !== undefined,
    ostree: (await fs.exists('ostree/repo')) || (await fs.exists('sysroot/ostree/repo')),
    ...(socket ? { socketVersion: socket.version, socket } : {}),
    readOnlyRoot: mounts.some((mount) => mount.point === '/' && mount.options.includes('ro')),
    mountPoints: mounts.map((mount) => mount.point).filter((point) => point.startsWith('/')),
    engines: await readEngineFacts(fs, (name) => findProgram(fs, name), packages),
    programs,
    ...(kernel ? { kernelConfig: kernel.options } : {}),
    ...(kernel?.version ? { kernelVersion: kernel.version } : {}),
    ...(kernel?.architecture ? { kernelArchitecture: kernel.architecture } : {}),
  };
}

/** Absolute path of a program, as a service's PATH would find it. */
async function findProgram(fs: RootfsReader, name: string): Promise<string | undefined> {
  for (const folder of PROGRAM_FOLDERS) {
    const path = `${folder}/${name}`;
    const stat = await fs.stat(path);
    if (stat?.type === 'file' && (stat.mode & 0o111) !== 0) return `/${path}`;
  }
  return undefined;
}

async function firstOf(fs: RootfsReader, paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if (await fs.exists(path)) return path;
  return undefined;
}

/** systemd names its private library after its version: `libsystemd-shared-252.so`. */
async function readSystemdVersion(fs: RootfsReader, packages: ReadonlyMap<string, string>): Promise<number | undefined> {
  const triplets = (await fs.readDirectory('usr/lib')).filter(({ name }) => /-linux-gnu/.test(name));
  const folders = ['usr/lib/systemd', 'lib/systemd', 'usr/lib64/systemd', ...triplets.map(({ name }) => `usr/lib/${name}/systemd`)];
  for (const folder of folders) {
    for (const { name } of await fs.readDirectory(folder)) {
      const version = /^libsystemd-(?:shared|core)-(\d+)/.exec(name)?.[1];
      if (version) return Number(version);
    }
  }
  const version = /^(?:\d+:)?(\d+)/.exec(packages.get('systemd') ?? '')?.[1];
  return version ? Number(version) : undefined;
} // prettier-ignore

async function readSocket(fs: RootfsReader): Promise<SocketFacts | undefined> {
  const text = await fs.readText('usr/lib/boxship/socket.json', 65536);
  const version = text && /"socketVersion":\s*(\d+)/.exec(text)?.[1];
  if (!version) return undefined;
  const env = parseAssignments((await fs.readText('usr/lib/boxship/socket.env', 65536)) ?? '');
  return {
    version: Number(version),
    publicKeyPem: (await fs.readText('usr/lib/boxship/store.pem', 65536)) ?? '',
    tableType: env['BOXSHIP_TABLE'] ?? '',
    storeUuid: env['BOXSHIP_STORE_UUID'] ?? '',
    dataUuid: env['BOXSHIP_DATA_UUID'] ?? '',
    binds: (env['BOXSHIP_BINDS'] ?? '').split(' ').filter((unit) => unit !== ''),
  };
}

interface FstabMount {
  readonly point: string;
  readonly options: readonly string[];
}

function parseFstab(text: string): FstabMount[] {
  return text.split('\n').flatMap((line): FstabMount[] => {
    const [device, point, , options = ''] = line.trim().split(/\s+/);
    return !device || device.startsWith('#') || !point ? [] : [{ point, options: options.split(',') }];
  });
}
