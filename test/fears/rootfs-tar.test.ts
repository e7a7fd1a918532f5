import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import { describe, expect, it } from 'vitest';
import { fearProduct, type FearProduct } from './fear-product.ts';

const NAME = 'acme-1.0.0-tiny-basic';

/** Folder `to` of the product gets what the archive, or the ext4 partition of the image, holds; root alone can do that. */
async function unpack(product: FearProduct, archive: string, to: string): Promise<string> {
  const script = 'mkdir "$2" && tar --numeric-owner --same-owner -p --xattrs --xattrs-include="*" -xf "$1" -C "$2"';
  await runProgram('sh', ['-ec', script, 'sh', archive, product.path(to)]);
  return await listing(product.path(to));
}
async function dump(product: FearProduct, image: string, { start, size }: { start: number; size: number }, to: string) {
  const script = `mkdir "$4" && dd if="$1" of="$4.ext4" bs=4096 skip="$2" count="$3" status=none && e2fsck -fn "$4.ext4" >&2
    debugfs -R "rdump / $4" "$4.ext4" 2>/dev/null; rmdir "$4/lost+found"`;
  await runProgram('sh', ['-ec', script, 'sh', image, String(start / 4096), String(size / 4096), product.path(to)]);
  return await listing(product.path(to));
}
/** Type, mode, owner, size, link and digest of everything; debugfs makes two files of a hard link. */
async function listing(folder: string): Promise<string> {
  const script = `find . -mindepth 1 \\( -type d -printf '%P %y %m %U %G\\n' -o -printf '%P %y %m %U %G %s %l\\n' \\) | LC_ALL=C sort
    find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum`;
  return (await runProgram('sh', ['-ec', script], { cwd: folder })).stdout.toString();
}

describe('rootfs-tar', () => {
  it('holds what the disk image holds: rootfs with the socket, store, data; the same bytes each time', async () => {
    // an MBR, so that both find the partitions by the UUIDs of their file systems
    await using product = await fearProduct({
      base: { table: 'mbr' },
      yaml: (text) => `${text}artifacts: [rootfs-tar, raw, rootfs-tar: { compression: zst }]\n`,
    });
    await product.lock();
    const [plan] = await product.plan();
    const [{ folder, release }] = (await product.compose()) as readonly [Awaited<ReturnType<typeof product.compose>>[0]];
    const files = (await readdir(folder)).filter((name) => !/\.(sig|sigstore\.json)$|^release\.json$/.test(name));
    const archives = ['rootfs', 'store', 'data'].flatMap((part) => [`${NAME}.${part}.tar`, `${NAME}.${part}.tar.zst`]);
    expect(files.sort()).toEqual([...archives, `${NAME}.partitions.json`, `${NAME}.img`, `${NAME}.img.bmap`].sort());
    expect([...plan!.files].sort()).toEqual(files.sort());
    for (const role of ['rootfs', 'store', 'data'] as const) {
      const { start, size } = release.partitions.find((one) => one.role === role)!;
      const onDisk = await dump(product, join(folder, `${NAME}.img`), { start: start!, size }, `${role}-disk`);
      const inArchive = await unpack(product, join(folder, `${NAME}.${role}.tar`), `${role}-tar`);
      expect(inArchive.length).toBeGreaterThan(10);
      expect(inArchive).toBe(onDisk);
      expect(await unpack(product, join(folder, `${NAME}.${role}.tar.zst`), `${role}-zst`)).toBe(inArchive);
    }
    const socket = (await runProgram('tar', ['-tf', join(folder, `${NAME}.rootfs.tar`)])).stdout.toString();
    for (const path of release.rootfsChanges) expect(socket.split('\n')).toContain(path.slice(1).replace(/$/, socket.includes(`${path.slice(1)}/\n`) ? '/' : ''));
    const store = (await runProgram('tar', ['-tvf', join(folder, `${NAME}.store.tar`)])).stdout.toString();
    expect(store).toMatch(/diff\/etc\/app\.conf link to .*diff\/bin\/link|diff\/bin\/link link to .*diff\/etc\/app\.conf/);
    const facts = JSON.parse(await readFile(join(folder, `${NAME}.partitions.json`), 'utf8')) as { uuid: string; label: string }[];
    for (const [i, role] of (['store', 'data'] as const).entries()) {
      const header = (await runProgram('dumpe2fs', ['-h', product.path(`${role}-disk.ext4`)])).stdout.toString();
      expect(header).toMatch(new RegExp(`volume name: +${facts[i]!.label}\\n[^]*UUID: +${facts[i]!.uuid}\\n`));
    }
    const before = await product.outputs();
    await runProgram('rm', ['-r', product.path('deploy')]);
    await product.compose();
    expect(await product.outputs()).toEqual(before);
  });
}); // prettier-ignore
