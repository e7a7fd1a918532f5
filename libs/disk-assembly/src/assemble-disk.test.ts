import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile, chmod, link } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCache, runProgram, silent, type Cache } from '@boxship/host';
import { MiB, UserError, type Digest } from '@boxship/model';
import { parseWks } from '@boxship/yocto';
import { assembleDisk } from './assemble-disk.ts';

let folder = '';
let cache: Cache;
const at = (name: string) => join(folder, name);

async function put(name: string, bytes: string | Uint8Array): Promise<string> {
  await mkdir(dirname(at(name)), { recursive: true });
  await writeFile(at(name), bytes);
  return at(name);
}
const sh = (script: string, ...args: string[]) => runProgram('sh', ['-ec', script, 'sh', ...args], { cwd: folder });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-assembly-'));
  cache = openCache(at('cache'));
  await put('root/etc/os-release', 'ID=test\n');
  await put('root/usr/bin/app', Buffer.alloc(300_000, 'app '));
  await chmod(at('root/usr/bin/app'), 0o4755);
  await link(at('root/usr/bin/app'), at('root/usr/bin/other'));
  await symlink('usr/bin', at('root/bin'));
  await put('root/empty', '');
  for (let i = 0; i < 300; i++) await put(`root/many/file-${i}`, `${i}`);
  await sh('setfattr -n user.colour -v blue root/etc/os-release || true');
  await sh(
    'tar --xattrs --sort=name --mtime=@1700000000 --owner=7 --group=8 -C root -cf rootfs.tar . && zstd -q rootfs.tar',
  );
  await put('boot/vmlinuz-6.12.1-a-long-name', Buffer.alloc(700_000, 'kernel '));
  await put('boot/EFI/BOOT/BOOTX64.EFI', 'loader');
  await put('boot/loader/entries/boot.conf', 'title x\n');
  await put('boot/config.txt', 'arm_64bit=1\n');
  await put('u-boot.bin', Buffer.alloc(50_000, 'u-boot '));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const digestOf = async (path: string): Promise<Digest> =>
  `sha256:${createHash('sha256')
    .update(await readFile(path))
    .digest('hex')}`;

let count = 0;
async function assemble(wks: string, { rootfs = 'rootfs.tar.zst', files = {} as Record<string, string>, variables = {} } = {}): Promise<string> {
  const target = at(`disk-${++count}`);
  const inputs = { wks: parseWks('board.wks', wks, { variables }), rootfs: { path: at(rootfs), digest: await digestOf(at(rootfs)) }, files, seed: 'seed' };
  await assembleDisk(inputs, target, { cache, progress: silent });
  return target;
} // prettier-ignore

interface SfdiskPartition { start: number; size: number; type: string; uuid?: string; name?: string; attrs?: string; bootable?: boolean } // prettier-ignore
async function table(disk: string) {
  const { stdout } = await runProgram('sfdisk', ['-J', disk]);
  return (JSON.parse(stdout.toString()) as { partitiontable: { label: string; id: string; partitions: SfdiskPartition[] } }).partitiontable; // prettier-ignore
}
/** A partition as a file of its own. */
async function part(disk: string, { start, size }: SfdiskPartition): Promise<string> {
  const file = `${disk}-${start}`;
  await sh('dd if="$1" of="$2" bs=512 skip="$3" count="$4" status=none', disk, file, String(start), String(size));
  return file;
}
const files = () => ({ '/boot': at('boot'), 'u-boot.bin': at('u-boot.bin') });

const GPT = `# what a BSP has
bootloader --ptable gpt --timeout=0 --append="console=ttyS0"
part u-boot --source rawcopy --sourceparams="file=u-boot.bin" --ondisk mmcblk0 --no-table --align \${SEEK}
part /boot --source bootimg-partition --ondisk mmcblk0 --fstype=vfat --label boot --active --align 4096 --size 16M
part / --source rootfs --ondisk mmcblk0 --fstype=ext4 --label rootfs_a --align 4096 --part-name system \\
     --part-type b921b045-1df0-41c3-af44-4c6f280d3fae --uuid 11111111-2222-4333-8444-555555555555 \\
     --fsuuid 66666666-2222-4333-8444-555555555555 --size 64M
part /data --ondisk mmcblk0 --fstype=ext4 --label data --fixed-size 16M --use-label
part spare --ondisk mmcblk0 --size 4M --hidden
`;

describe('a disk by a wks', () => {
  it('has the table, the boot files and the rootfs, in the words of other tools', async () => {
    const disk = await assemble(GPT, { files: files(), variables: { SEEK: '33' } });
    const { stdout } = await runProgram('sgdisk', ['-v', disk]);
    expect(stdout.toString()).toContain('No problems found');
    const { label, partitions } = await table(disk);
    expect(label).toBe('gpt');
    expect(partitions.map(({ start, size, name, attrs }) => [(start * 512) / MiB, (size * 512) / MiB, name, attrs])).toEqual([
      [4, 16, 'boot', 'LegacyBIOSBootable'],
      [20, 64, 'system', undefined],
      [84, 16, 'data', undefined],
      [100, 4, undefined, 'RequiredPartition'],
    ]);
    expect(partitions[1]).toMatchObject({ type: 'B921B045-1DF0-41C3-AF44-4C6F280D3FAE', uuid: '11111111-2222-4333-8444-555555555555' });
    const bytes = await readFile(disk);
    expect(bytes.subarray(33 * 1024, 33 * 1024 + 50_000).equals(await readFile(at('u-boot.bin')))).toBe(true);

    const boot = await part(disk, partitions[0]!);
    await runProgram('fsck.fat', ['-n', boot]);
    await sh('rm -rf boot-back && mkdir boot-back && mcopy -s -n -i "$1" "::*" boot-back/ && diff -r boot boot-back', boot);
    expect((await runProgram('mlabel', ['-s', '-i', boot, '::'])).stdout.toString()).toContain('BOOT');

    const root = await part(disk, partitions[1]!);
    await runProgram('e2fsck', ['-fn', root]);
    const superblock = (await runProgram('dumpe2fs', ['-h', root])).stdout.toString();
    expect(superblock).toMatch(/volume name: +rootfs_a[^]*UUID: +66666666-2222-4333-8444-555555555555/);
    await sh('rm -rf back && mkdir back && debugfs -R "rdump / back" "$1" 2>/dev/null && rmdir back/lost+found && diff -r --no-dereference root back', root);
    const inode = (await runProgram('debugfs', ['-R', 'stat /usr/bin/app', root])).stdout.toString();
    expect(inode).toMatch(/Mode: +04755[^]*User: +7 +Group: +8[^]*Links: 2[^]*mtime: 0x6553f100/);
    expect((await runProgram('debugfs', ['-R', 'stat /usr/bin/other', root])).stdout.toString().split(' ')[1]).toBe(inode.split(' ')[1]);

    await runProgram('e2fsck', ['-fn', await part(disk, partitions[2]!)]);
  });

  it('gives equal bytes for equal inputs', async () => {
    const [one, other] = [await assemble(GPT, { files: files(), variables: { SEEK: '33' } }), await assemble(GPT, { files: files(), variables: { SEEK: '33' } })]; // prettier-ignore
    expect(await digestOf(one)).toBe(await digestOf(other));
  });

  it('with an MBR, FAT32 and sizes that come of the contents', async () => {
    const disk = await assemble(
      `part /boot --source bootimg-partition --fstype=vfat --label BOOT --active --align 4096 --fixed-size 48M --mkfs-extraopts "-F 32" --fsuuid 0xCAFE0001
part / --source rootfs --fstype=ext4 --align 4096 --overhead-factor 2 --extra-space 0
bootloader --ptable msdos --diskid 0x1234abcd`,
      { files: files() },
    );
    const { label, id, partitions } = await table(disk);
    expect([label, id]).toEqual(['dos', '0x1234abcd']);
    expect(partitions.map(({ type, bootable }) => [type, bootable])).toEqual([['c', true], ['83', undefined]]); // prettier-ignore
    const boot = await part(disk, partitions[0]!);
    await runProgram('fsck.fat', ['-n', boot]);
    expect((await runProgram('blkid', ['-p', '-o', 'export', boot])).stdout.toString()).toMatch(/UUID=CAFE-0001[^]*VERSION=FAT32/);
    await runProgram('e2fsck', ['-fn', await part(disk, partitions[1]!)]);
  });

  it('takes an ext4 image as it is, and a squashfs as the files in it', async () => {
    await sh('mke2fs -q -t ext4 -d root rootfs.ext4 32M && gzip -k rootfs.ext4 && mksquashfs root rootfs.sqfs -quiet -all-root >/dev/null');
    const wks = 'bootloader --ptable gpt\npart / --source rootfs --fstype=ext4 --size 48M --align 1024\n';
    const taken = await assemble(wks, { rootfs: 'rootfs.ext4.gz' });
    const [first] = (await table(taken)).partitions;
    expect(first).toMatchObject({ start: 2048, size: 48 * 2048 });
    expect((await readFile(taken)).subarray(MiB, 33 * MiB).equals(await readFile(at('rootfs.ext4')))).toBe(true);
    const made = await assemble(wks, { rootfs: 'rootfs.sqfs' });
    const root = await part(made, (await table(made)).partitions[0]!);
    await runProgram('e2fsck', ['-fn', root]);
    await sh('rm -rf sq && mkdir sq && debugfs -R "rdump / sq" "$1" 2>/dev/null && rmdir sq/lost+found && diff -r --no-dereference root sq', root);
  });
}); // prettier-ignore

describe('what cannot be done is told with its line', () => {
  const fault = async (wks: string, options: Parameters<typeof assemble>[1] = {}): Promise<string[]> =>
    await assemble(wks, options).then(
      () => expect.fail('no error'),
      (error: unknown) => {
        if (!(error instanceof UserError)) throw error;
        return error.problems.map(({ code, where, message }) => `${where?.line} ${code}: ${message}`);
      },
    );

  it('content: all lines at once', async () => {
    expect(
      await fault(`part /boot --source bootimg-partition --fstype=vfat
part x --source rawcopy --sourceparams="file=spl.bin"
part y --source isoimage-isohybrid
part / --source rootfs --fstype=btrfs
part swap --fstype=swap --size 8M
part z --source rawcopy`),
    ).toEqual([
      '1 WKS_FILE: the wks asks for "/boot"',
      '2 WKS_FILE: the wks asks for "spl.bin"',
      '3 WKS_NOT_DONE: --source isoimage-isohybrid is not done here',
      '4 WKS_NOT_DONE: a rootfs with --fstype btrfs is not made',
      '5 WKS_NOT_DONE: --fstype swap is not made',
      '6 WKS_FILE: rawcopy names no file',
    ]);
  });

  it('sizes and places', async () => {
    expect((await fault('part / --source rootfs --fixed-size 1M'))[0]).toMatch(/^1 STORE_FULL/);
    expect((await fault('part x --source rawcopy --sourceparams="file=u-boot.bin" --fixed-size 8k', { files: files() }))[0]).toBe('1 WKS_TOO_SMALL: the partition has 8192 bytes, its content 50000');
    expect((await fault('part a --size 1M\npart b --size 1M --offset 512'))[0]).toMatch(/^2 WKS_OVERLAP: .*on what is at line 1/);
    expect((await fault('bootloader --ptable gpt\npart a --size 1M --no-table --offset 4'))[0]).toMatch(/^2 WKS_OVERLAP: .*on the partition table/);
    expect((await fault('part a --size 1M\n'.repeat(5)))[0]).toMatch(/^5 WKS_TOO_MANY_PARTITIONS/);
    expect((await fault('part / --source bootimg-partition --fstype vfat --fixed-size 1M', { files: { '/': at('boot') } }))[0]).toMatch(/^1 FAT_/);
  });
}); // prettier-ignore
