import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';

/** For tests: image.json as Toradex's BSP build writes it (image_type_tezi.bbclass): config_format and sizes as it has them. */
export function sampleImageJson(): Record<string, unknown> {
  return {
    config_format: '2',
    autoinstall: false,
    name: 'Reference Minimal',
    description: 'A small image',
    version: '6.8.0',
    release_date: '2024-10-09',
    u_boot_env: 'u-boot-initial-env-sd',
    prepare_script: 'prepare.sh',
    wrapup_script: 'wrapup.sh',
    marketing: 'marketing.tar',
    icon: 'toradexlinux.png',
    vendor_field: { kept: [1, 2, 3] },
    supported_product_ids: ['0058', '0061'],
    blockdevs: [
      {
        name: 'emmc',
        partitions: [
          {
            partition_size_nominal: 48,
            want_maximised: false,
            content: { label: 'BOOT', filesystem_type: 'FAT', mkfs_options: '', filename: 'boot.tar.xz', uncompressed_size: 10.5 },
          },
          {
            partition_size_nominal: '512',
            want_maximised: true,
            content: { label: 'RFS', filesystem_type: 'ext4', mkfs_options: '-E nodiscard', filename: 'rootfs.tar.xz', uncompressed_size: 1.25 },
          },
        ],
      },
      {
        name: 'emmc-boot0',
        erase: true,
        content: { filesystem_type: 'raw', rawfiles: [{ filename: 'imx-boot', dd_options: 'seek=0' }] },
      },
    ],
  };
} // prettier-ignore

/** image.json for NAND, as the same build writes it. */
export function sampleNandJson(): Record<string, unknown> {
  const { blockdevs: _blockdevs, ...rest } = sampleImageJson();
  return {
    ...rest,
    mtddevs: [
      { name: 'u-boot1', content: { rawfile: { filename: 'imx-boot', size: 1 } } },
      {
        name: 'ubi',
        ubivolumes: [
          { name: 'boot', size_kib: 16384, content: { filesystem_type: 'ubifs', filename: 'boot.tar.xz' } },
          { name: 'rootfs', content: { filesystem_type: 'ubifs', filename: 'rootfs.tar.xz', uncompressed_size: 1.25 } },
        ],
      },
    ],
  };
}

/** For tests: the folder of such an image, with a rootfs that has a few files; archives made by GNU tar and xz. */
export async function makeSampleTezi(folder: string, json: unknown = sampleImageJson()): Promise<string> {
  const root = join(folder, 'root');
  await mkdir(join(root, 'usr/lib/systemd'), { recursive: true });
  await mkdir(join(root, 'usr/sbin'), { recursive: true });
  await mkdir(join(root, 'etc'), { recursive: true });
  await writeFile(join(root, 'usr/lib/os-release'), 'ID=tdx\nVERSION_ID=6.8.0\n');
  await writeFile(join(root, 'usr/lib/systemd/systemd'), 'x', { mode: 0o755 });
  await symlink('../lib/systemd/systemd', join(root, 'usr/sbin/init'));
  await symlink('usr/sbin', join(root, 'sbin'));
  await symlink('usr/lib', join(root, 'lib'));
  const image = join(folder, 'image');
  await mkdir(image);
  for (const [name, from] of [['rootfs', root], ['boot', join(root, 'usr/lib')]] as const) {
    await runProgram('tar', ['-C', from, '-cJf', join(image, `${name}.tar.xz`), '.']);
  } // prettier-ignore
  for (const name of ['u-boot-initial-env-sd', 'prepare.sh', 'wrapup.sh', 'marketing.tar', 'toradexlinux.png', 'imx-boot']) {
    await writeFile(join(image, name), `${name} of the vendor\n`);
  } // prettier-ignore
  await writeFile(join(image, 'image.json'), JSON.stringify(json, null, 4));
  return image;
}
