import { appendFile, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import { describe, expect, it } from 'vitest';
import { ROOTFS_START } from '../fixtures/tiny-base/build.mjs';
import { fearProduct, refusal, type FearProduct } from './fear-product.ts';

// A base that is a root file system and a wks. What a wks may ask for: libs/disk-assembly.

const WKS = `bootloader --ptable gpt
part u-boot --source rawcopy --sourceparams="file=imx-boot" --no-table --align \${IMX_BOOT_SEEK}
part /boot --source bootimg-partition --fstype=vfat --label boot --align 1024 --fixed-size 8M
part / --source rootfs --fstype=ext4 --label root --align 4096 --size 32M
`;
const BASE = `{ rootfs: ./bsp/rootfs.tar.gz, wks: ./bsp/board.wks, files: { imx-boot: ./bsp/imx-boot, /boot: ./bsp/boot }, variables: { IMX_BOOT_SEEK: 33 } }`; // prettier-ignore

/** The tiny base image, taken apart: its rootfs as an archive, and a boot loader and boot files beside it. */
async function takenApart(): Promise<FearProduct> {
  const product = await fearProduct({ yaml: (text) => text.replace('./vendor.img', BASE) });
  await mkdir(product.path('bsp/boot'), { recursive: true });
  await product.write('bsp/board.wks', WKS);
  await product.write('bsp/imx-boot', Buffer.alloc(40_000, 'imx-boot '));
  await product.write('bsp/boot/extlinux/extlinux.conf', 'default linux\n');
  await product.write('bsp/boot/Image', Buffer.alloc(500_000, 'kernel'));
  const script = `tail -c +$(($2 + 1)) "$1" | head -c 7M > rootfs.ext4 && mkdir root && debugfs -R 'rdump / root' rootfs.ext4 2>/dev/null
    rm -rf root/lost+found && tar --sort=name --mtime=@1700000000 --owner=0 --group=0 -C root -czf bsp/rootfs.tar.gz .`;
  await runProgram('sh', ['-ec', script, 'sh', product.path('vendor.img'), String(ROOTFS_START)], {
    cwd: product.folder,
  });
  await rm(product.path('vendor.img'));
  return product;
}

describe('a base of a root file system and a wks', () => {
  it('is composed like the image of a disk, equal bytes each time; the parts may not change after lock', async () => {
    await using product = await takenApart();
    await product.lock();
    const lock = JSON.parse(await readFile(product.path('boxship.lock'), 'utf8'));
    expect(lock.bases.tiny).toMatchObject({ from: './bsp/rootfs.tar.gz in ./bsp/board.wks' });
    const [plan] = await product.plan();
    expect(plan!.table.after.partitions.map(({ name, role }) => [name, role])).toEqual([
      ['boot', 'vendor'], ['root', 'rootfs'], ['boxship-store', 'store'], ['boxship-data', 'data'],
    ]); // prettier-ignore
    const [{ folder }] = (await product.compose()) as unknown as readonly [{ folder: string }];
    const image = join(folder, 'acme-1.0.0-tiny-basic.img');
    expect((await runProgram('sgdisk', ['-v', image])).stdout.toString()).toContain('No problems found');
    const bytes = await readFile(image);
    expect(bytes.subarray(33 * 1024, 33 * 1024 + 40_000).equals(await readFile(product.path('bsp/imx-boot')))).toBe(true);
    const before = await product.outputs();

    // the cache is gone: the base is assembled anew, and is the same
    await rm(product.path('deploy'), { recursive: true });
    await rm(product.path('cache/assembled-base-v1'), { recursive: true });
    await product.compose();
    expect(await product.outputs()).toEqual(before);

    await appendFile(product.path('bsp/boot/extlinux/extlinux.conf'), 'timeout 3\n');
    expect(await refusal(product.plan())).toMatchObject({ code: 'BASE_CHANGED' });
  });

  it('that lacks a part, or whose wks asks for what cannot be done, is refused by lock with the line', async () => {
    await using product = await takenApart();
    await product.write('bsp/board.wks', `${WKS}part /x --source rawcopy --sourceparams="file=tee.bin"\npart /y --fstype=btrfs --size 1M\n`);
    const error = await refusal(product.lock());
    expect(error.problems.map(({ code, where }) => `${where!.line} ${code}`)).toEqual(['5 WKS_FILE', '6 WKS_NOT_DONE']);
    await product.write('bsp/board.wks', WKS);
    await product.edit('boxship.yaml', (text) => text.replace('bsp/rootfs.tar.gz', 'bsp/none.tar'));
    expect(await refusal(product.lock())).toMatchObject({ code: 'NOT_FOUND', problems: [{ where: { line: 5 } }] });
    await product.edit('boxship.yaml', (text) => text.replace('bsp/none.tar', 'bsp/imx-boot'));
    expect((await refusal(product.lock())).code).toMatch(/^TAR_/);
    expect(await product.outputs()).toEqual({});
  });
}); // prettier-ignore
