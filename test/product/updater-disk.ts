import { copyFile, cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runProgram } from '@boxship/host';
import { fetchDebianPackage } from '../../tools/setup/debian-tools.mjs';

// A disk for a device without an updater of its own: Debian's RAUC, SWUpdate and Mender of the release that the sample base
// image is made of, their configuration as docs/formats.md has it, and the updates.

const SUITE = 'bookworm';
const TRIPLET = 'x86_64-linux-gnu';

/** Where the device mounts the disk. */
export const UPDATER_DISK = '/run/updaters';

/** How `program` of the disk is started on the device. */
export function onDevice(program: string): string {
  return `LD_LIBRARY_PATH=${UPDATER_DISK}/lib ${UPDATER_DISK}/bin/${program}`;
}

interface UpdaterDisk {
  /** A folder for what the disk is made of. */
  readonly scratch: string;
  /** The image of its file system. */
  readonly image: string;
  /** Updates and keys, by their names on the disk. */
  readonly files: Readonly<Record<string, string>>;
  readonly compatible: string;
  readonly deviceType: string;
}

/** Writes an ext4 image; no root, no mount. */
export async function buildUpdaterDisk(disk: UpdaterDisk): Promise<void> {
  const { scratch, image, files, compatible, deviceType } = disk;
  const root = join(scratch, 'updaters');
  await mkdir(join(root, 'bin'), { recursive: true });
  for (const [name, dependencies] of [
    ['rauc', true],
    ['swupdate', true],
    ['mender-client', true],
    ['rauc-service', false],
  ] as const) {
    const { folder } = await fetchDebianPackage({ suite: SUITE, package: name, dependencies });
    if (dependencies) {
      const program = name.replace('-client', '');
      await copyFile(join(folder, 'usr/bin', program), join(root, 'bin', program));
      for (const libraries of [join('usr/lib', TRIPLET), join('lib', TRIPLET)])
        await copyLibraries(join(folder, libraries), join(root, 'lib'));
    } else {
      const policy = (await runProgram('find', [folder, '-name', '*rauc.conf'])).stdout.toString().trim();
      await copyFile(policy, join(root, 'rauc-policy.conf'));
    }
  }
  for (const [name, path] of Object.entries(files)) await copyFile(path, join(root, name));
  await writeFile(join(root, 'system.conf'), systemConf(compatible));
  await writeFile(join(root, 'store-release'), await releaseScript(), { mode: 0o755 });
  await writeFile(join(root, 'boxship-store'), MENDER_MODULE, { mode: 0o755 });
  await writeFile(join(root, 'mender.conf'), JSON.stringify({ ArtifactVerifyKey: `${UPDATER_DISK}/release.pub` }));
  await writeFile(join(root, 'device_type'), `device_type=${deviceType}\n`);
  await writeFile(join(root, 'artifact_info'), 'artifact_name=what-the-vendor-shipped\n');
  await runProgram('mke2fs', ['-q', '-t', 'ext4', '-L', 'updaters', '-E', 'root_owner=0:0', '-d', root, image, '512M']);
  await rm(root, { recursive: true });
}

/** Shared libraries, without the folders of plugins beside them. */
async function copyLibraries(from: string, to: string): Promise<void> {
  for (const name of await readdir(from).catch(() => [])) {
    if (/\.so(\.|$)/.test(name))
      await cp(join(from, name), join(to, name), { verbatimSymlinks: true, recursive: true });
  }
}

/** The commands that docs/formats.md gives for what comes before the store is written, as a program. */
async function releaseScript(): Promise<string> {
  return `#!/bin/sh -ex\n${(await documentedCommands())[0]}`;
}

/** The same for what comes after it. */
export async function documentedCommands(): Promise<readonly [before: string, after: string]> {
  const text = await readFile(fileURLToPath(new URL('../../docs/formats.md', import.meta.url)), 'utf8');
  const found = /# before writing[^\n]*\n([^]*?)# after writing[^\n]*\n([^]*?)```/.exec(text);
  if (!found) throw new Error('docs/formats.md does not say what comes before and after the store is written');
  return [found[1]!, found[2]!].map((part) => part.replace(/^ +/gm, '')) as [string, string];
}

/** As docs/formats.md has it, and what every device with RAUC needs besides. */
function systemConf(compatible: string): string {
  return `[system]
compatible=${compatible}
bootloader=noop

[keyring]
path=${UPDATER_DISK}/updates.pem

[handlers]
pre-install=${UPDATER_DISK}/store-release

[slot.rootfs.0]
device=/dev/vda2
type=ext4
bootname=system

[slot.boxship-store.0]
device=/dev/boxship/store
type=raw
`;
}

/** An update module (Mender, "Update modules v3"): the state comes first, then the folder of the update. */
const MENDER_MODULE = `#!/bin/sh -e
case $1 in
  NeedsArtifactReboot) echo Automatic ;;
  SupportsRollback) echo No ;;
  ArtifactInstall)
    ${UPDATER_DISK}/store-release
    dd if="$2/files/boxship-store.ext4" of=/dev/boxship/store bs=1M conv=fsync
    ;;
esac
`;
