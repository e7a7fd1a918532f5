import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import { describe, expect, it } from 'vitest';
import { installTezi } from '../lab/tezi-installer.mjs';
import { fearProduct, refusal, type FearProduct } from './fear-product.ts';
import { teziProduct } from './tezi-product.ts';

// The image of a disk, made of what a vendor gives to Toradex Easy Installer, and the reverse.

const PARTITIONS = {
  boot: { partition_size_nominal: 16, content: { label: 'BOOT', filesystem_type: 'FAT', mkfs_options: '', filename: 'boot.tar.gz' } },
  env: { partition_size_nominal: 2, content: { filesystem_type: 'raw', rawfiles: [{ filename: 'env.bin' }] } },
  rootfs: { partition_size_nominal: '64', want_maximised: false, content: { label: 'RFS', filesystem_type: 'ext4', mkfs_options: '-E nodiscard', filename: 'rootfs.tar.xz', uncompressed_size: 1 } },
}; // prettier-ignore
const BOOT0 = {
  name: 'emmc-boot0',
  content: { filesystem_type: 'raw', rawfiles: [{ filename: 'imx-boot', dd_options: 'seek=0' }] },
};

async function product(artifacts: string, blockdevs: readonly object[]): Promise<FearProduct> {
  const made = await teziProduct({ change: (text) => text.replace('artifacts: [tezi]', `artifacts: ${artifacts}`) });
  for (const name of ['env.bin', 'imx-boot', 'extra.txt']) await made.write(`tezi/${name}`, Buffer.alloc(5000, name));
  await mkdir(made.path('boot/EFI/BOOT'), { recursive: true });
  await made.write('boot/EFI/BOOT/BOOTX64.EFI', Buffer.alloc(70_000, 'loader '));
  await made.write('boot/extlinux.conf', 'default linux\n');
  await runProgram('tar', ['-C', made.path('boot'), '-czf', made.path('tezi/boot.tar.gz'), '.']);
  await made.edit('tezi/image.json', (text) => JSON.stringify({ ...JSON.parse(text), blockdevs }, null, 2));
  return made;
}

interface SfdiskTable {
  readonly label: string;
  readonly partitions: readonly { readonly start: number; readonly size: number; readonly type: string }[];
}

describe('a base for Toradex Easy Installer', () => {
  it('becomes the image of the disk that the installer would make; both artifacts have one store', async () => {
    const device = { name: 'emmc', table_type: 'gpt', partitions: [PARTITIONS.boot, PARTITIONS.env, PARTITIONS.rootfs] };
    await using made = await product('[tezi, raw]', [device, BOOT0]);
    await made.lock();
    const [plan] = await made.plan();
    expect(plan!.warnings.join('\n')).toMatch(/emmc alone: emmc-boot0 \(imx-boot\) stays as the module has it[^]*prepare_script/);
    const [composed] = await made.compose();
    const before = await made.outputs();
    const image = join(composed!.folder, composed!.release.files.find(({ name }) => name.endsWith('.img'))!.name);
    expect((await runProgram('sgdisk', ['-v', image])).stdout.toString()).toContain('No problems found');
    const { label, partitions } = (JSON.parse((await runProgram('sfdisk', ['-J', image])).stdout.toString()) as { partitiontable: SfdiskTable }).partitiontable;
    expect([label, partitions.length]).toEqual(['gpt', 5]);
    const part = async (number: number) => {
      const { start, size } = partitions[number - 1]!;
      const file = made.path(`partition-${number}`);
      await runProgram('dd', [`if=${image}`, `of=${file}`, 'bs=512', `skip=${start}`, `count=${size}`, 'status=none']);
      return file;
    };
    const script = (text: string, ...args: string[]) => runProgram('sh', ['-ec', text, 'sh', ...args], { cwd: made.folder });
    const boot = await part(1);
    await runProgram('fsck.fat', ['-n', boot]);
    await script('mkdir boot-back && mcopy -s -n -i "$1" "::*" boot-back/ && diff -r boot boot-back', boot);
    await script('cmp -n 5000 "$1" tezi/env.bin', await part(2));
    const rootfs = await part(3);
    await runProgram('e2fsck', ['-fn', rootfs]);
    expect((await runProgram('dumpe2fs', ['-h', rootfs])).stdout.toString()).toMatch(/volume name: +RFS/);
    // what the archive has, and what was added of it and nothing else
    await script('mkdir root back && tar -C root -xJf tezi/rootfs.tar.xz && debugfs -R "rdump / back" "$1" 2>/dev/null && rmdir back/lost+found', rootfs);
    const { stdout } = await runProgram('diff', ['-rq', '--no-dereference', made.path('root'), made.path('back')], { accept: [0, 1] });
    const lines = stdout.toString().trim().split('\n');
    expect(lines.filter((line) => !line.startsWith(`Only in ${made.path('back')}`))).toEqual([]);
    expect(lines.length).toBeGreaterThan(0);
    const store = await part(4);
    await runProgram('e2fsck', ['-fn', store]);
    await mkdir(made.path('unpacked'));
    await script('tar -C unpacked --strip-components=1 -xf "$1"', image.replace(/\.img$/, '.tezi.tar'));
    await runProgram('cmp', [store, made.path('unpacked/boxship-store.img')]);
    await runProgram('e2fsck', ['-fn', await part(5)]);

    await rm(made.out, { recursive: true });
    await rm(made.path('cache/disk-of-tezi-v1'), { recursive: true });
    await made.compose();
    expect(await made.outputs()).toEqual(before);
  });

  it('that no disk can hold is refused: all of it, with the lines, and nothing is written', async () => {
    const { boot, env, rootfs } = PARTITIONS;
    await using made = await product('[raw]', [
      {
        name: 'emmc',
        partitions: [
          { ...boot, content: { ...boot.content, mkfs_options: '-F 32 -s 1' } },
          { ...env, content: { ...env.content, rawfiles: [{ filename: 'env.bin', dd_options: 'seek=2' }] } },
          { ...rootfs, content: { ...rootfs.content, filelist: ['extra.txt:/etc/'] } },
          { ...boot, content: { ...boot.content, filesystem_type: 'ext3', mkfs_options: '' } },
        ],
      },
      { name: 'sd', partitions: [boot] },
    ]);
    await made.lock();
    const error = await refusal(made.compose());
    expect(error.problems.map(({ code, where }) => `${where!.line} ${code}`)).toEqual(
      [58, 14, 23, 36, 49].map((line) => `${line} TEZI_NO_DISK`),
    );
    expect(error.problems.map(({ message }) => message)).toEqual([
      'sd has partitions, too: one disk holds those of emmc alone',
      'partition 1: "mkfs_options" has -s 1, which is not done',
      'partition 2: it has several raw files, or one that does not begin where the partition begins',
      'partition 3: its "filelist" adds files to the archive',
      'partition 4: a file system ext3 is not made',
    ]);
    expect(await made.outputs()).toEqual({});
  });
}); // prettier-ignore

const BOOT_LOADER_AT = 64 * 1024;

describe('the image of a disk', () => {
  it('becomes an image for the installer, which makes the same disk of it', async () => {
    await using made = await fearProduct({ base: { table: 'mbr' }, yaml: (text) => `${text}artifacts: [raw, tezi: { productIds: ['0058', '0061'] }]\n` });
    await runProgram('dd', ['if=/dev/zero', `of=${made.path('vendor.img')}`, 'bs=1024', `seek=${BOOT_LOADER_AT / 1024}`, 'count=32', 'conv=notrunc', 'status=none']);
    await made.lock();
    const [composed] = await made.compose();
    const before = await made.outputs();
    const stem = join(composed!.folder, 'acme-1.0.0-tiny-basic');
    await mkdir(made.path('image'));
    await runProgram('tar', ['-C', made.path('image'), '--strip-components=1', '-xf', `${stem}.tezi.tar`]);
    const json = JSON.parse(await readFile(made.path('image/image.json'), 'utf8'));
    expect(json).toMatchObject({ config_format: 3, name: 'vendor with acme', supported_product_ids: ['0058', '0061'] });
    expect(json.blockdevs[0].partitions.map((one: { partition_type: string }) => one.partition_type)).toEqual(['0c', '83', '83', '83']);
    const disk = made.path('installed.img');
    const installed = await installTezi({ folder: made.path('image'), disk, size: 256 << 20, scratch: made.path('work') });
    const { partitions } = JSON.parse((await runProgram('sfdisk', ['-J', `${stem}.img`])).stdout.toString()).partitiontable as SfdiskTable;
    const copy = async (image: string, start: number, size: number) => {
      const file = made.path('part');
      await runProgram('dd', [`if=${image}`, `of=${file}`, 'bs=1M', 'iflag=skip_bytes,count_bytes', `skip=${start}`, `count=${size}`, 'status=none']);
      return file;
    };
    // what is taken as it is: the vendor's first partition, and our store
    for (const number of [1, 3]) {
      const { start, size } = partitions[number - 1]!;
      const file = await copy(disk, installed[number - 1]!.start, size * 512);
      await runProgram('cmp', ['-i', `0:${start * 512}`, '-n', String(size * 512), file, `${stem}.img`]);
    }
    // the rootfs by its files: those of the disk image, which has the socket, too
    const folders: string[] = [];
    for (const [image, start, size] of [[`${stem}.img`, partitions[1]!.start * 512, partitions[1]!.size * 512], [disk, installed[1]!.start, installed[1]!.size]] as const) {
      const file = await copy(image, start, size);
      await runProgram('e2fsck', ['-fn', file]);
      expect((await runProgram('dumpe2fs', ['-h', file])).stdout.toString()).toMatch(/volume name: +root[^]*UUID: +11111111-2222-4333-8444-555555555555/);
      const folder = made.path(`root-${folders.length}`);
      await mkdir(folder);
      await runProgram('debugfs', ['-R', `rdump / ${folder}`, file]);
      await runProgram('rmdir', [join(folder, 'lost+found')]);
      folders.push(folder);
    }
    await runProgram('diff', ['-r', '--no-dereference', ...folders]);

    await rm(made.out, { recursive: true });
    await rm(made.path('cache/parts-of-disk-v1'), { recursive: true });
    await made.compose();
    expect(await made.outputs()).toEqual(before);
  });

  it('that an installer has no place for is refused: what, and where', async () => {
    await using made = await fearProduct({ base: { table: 'mbr' }, yaml: (text) => `${text}artifacts: [tezi]\n` });
    await made.lock();
    expect((await refusal(made.plan())).message).toMatch(/does not say for which products/);
    await made.edit('boxship.yaml', (text) => text.replace('[tezi]', "[tezi: { productIds: ['0058'] }]"));
    expect((await refusal(made.compose())).problems.map(({ code, message }) => `${code} ${message.split(' (')[0]}`)).toEqual([
      `DISK_NO_TEZI bytes ${BOOT_LOADER_AT} to ${BOOT_LOADER_AT + 32767}, outside of all partitions, are not empty`,
    ]);
    await runProgram('sfdisk', ['--quiet', '--delete', made.path('vendor.img'), '1']);
    await made.lock();
    expect((await refusal(made.compose())).message).toMatch(/partition 2 is number 1 on the disk/);
    expect(await made.outputs()).toEqual({});

    await using parts = await product("[tezi: { productIds: ['0058'] }]", [{ name: 'emmc', partitions: [PARTITIONS.rootfs] }]);
    await parts.lock();
    expect((await refusal(parts.plan())).code).toBe('TEZI_HAS_PRODUCT_IDS');
  });
}); // prettier-ignore
