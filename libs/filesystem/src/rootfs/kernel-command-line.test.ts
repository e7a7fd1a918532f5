import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';
import { openExt4 } from './ext4-reader.ts';
import { readKernelCommandLines } from './kernel-command-line.ts';

const has = await runProgram('mkfs.vfat', ['--help'], { accept: [0, 1] }).then(() => true, () => false); // prettier-ignore
if (!has && process.env['CI'] === 'true') throw new Error('not installed: dosfstools');

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-cmdline-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

type Files = Readonly<Record<string, string>>;

async function writeTree(files: Files): Promise<string> {
  const root = await mkdtemp(join(folder, 'tree-'));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return root;
}

const readerOf = (file: string) => {
  const bytes = readFileSync(file);
  return { size: bytes.length, read: (position: number, length: number) => Promise.resolve(bytes.subarray(position, position + length)) }; // prettier-ignore
};

async function fatOf(files: Files) {
  const root = await writeTree(files);
  const image = `${root}.fat`;
  await writeFile(image, '');
  await truncate(image, 4 * 2 ** 20);
  await runProgram('mkfs.vfat', [image]);
  for (const name of new Set(Object.keys(files).map((path) => path.split('/')[0]!))) {
    await runProgram('mcopy', ['-s', '-i', image, join(root, name), '::']);
  }
  return { name: 'partition 1', content: readerOf(image) };
}

async function ext4Of(files: Files) {
  const root = await writeTree(files);
  const image = `${root}.ext4`;
  await writeFile(image, '');
  await truncate(image, 4 * 2 ** 20);
  await runProgram('mke2fs', ['-q', '-t', 'ext4', '-d', root, image]);
  return readerOf(image);
}

const linesOf = async (rootfs: Files, ...partitions: Awaited<ReturnType<typeof fatOf>>[]) =>
  (await readKernelCommandLines(await openExt4(await ext4Of(rootfs)), partitions)).map(({ where, text }) => `${where} | ${text}`); // prettier-ignore

describe.skipIf(!has)('the kernel command line', () => {
  it('of systemd-boot: options joined, the default entry', async () => {
    const entry = (title: string, ...options: string[]) =>
      `title ${title}\nlinux /vmlinuz\n${options.map((text) => `options ${text}\n`).join('')}`;
    const files = {
      'loader/loader.conf': 'timeout 3\ndefault vendor-*\n',
      'loader/entries/vendor-1.conf': entry('a', 'root=PARTUUID=x ro', 'apparmor=0'),
      'loader/entries/rescue.conf': entry('b', 'single'),
    };
    expect(await linesOf({ x: '' }, await fatOf(files))).toEqual([
      'partition 1: loader/entries/vendor-1.conf | root=PARTUUID=x ro apparmor=0',
    ]);
    const { 'loader/loader.conf': _none, ...undecided } = files;
    expect(await linesOf({ x: '' }, await fatOf(undecided))).toHaveLength(2);
  });

  it('of extlinux, in /boot of the rootfs or on a partition of its own', async () => {
    const text = `default new\nmenu title x\nlabel old\n\tkernel /a\n\tappend root=/dev/a quiet\nLABEL new\n  LINUX /b\n  APPEND console=ttyAMA0 lsm=yama\n`;
    expect(await linesOf({ 'boot/extlinux/extlinux.conf': text })).toEqual([
      'rootfs: /boot: extlinux/extlinux.conf | console=ttyAMA0 lsm=yama',
    ]);
    const boot = { name: 'partition 2', content: await ext4Of({ 'extlinux/extlinux.conf': text.replace('default new\n', '') }) }; // prettier-ignore
    expect(await linesOf({ x: '' }, boot)).toEqual([
      'partition 2: extlinux/extlinux.conf | root=/dev/a quiet',
      'partition 2: extlinux/extlinux.conf | console=ttyAMA0 lsm=yama',
    ]);
  });

  it('of GRUB and of a Raspberry Pi', async () => {
    const grub = `set default=0\nmenuentry 'a' {\n\tlinux /vmlinuz-6.1 root=UUID=1 ro cgroup_disable=memory\n\tinitrd /initrd\n}\n`;
    expect(await linesOf({ x: '' }, await fatOf({ 'EFI/BOOT/grub.cfg': grub }))).toEqual([
      'partition 1: EFI/BOOT/grub.cfg | root=UUID=1 ro cgroup_disable=memory',
    ]);
    expect(await linesOf({ 'boot/grub/grub.cfg': grub })).toEqual([
      'rootfs: /boot: grub/grub.cfg | root=UUID=1 ro cgroup_disable=memory',
    ]);
    expect(await linesOf({ x: '' }, await fatOf({ 'cmdline.txt': 'console=serial0 rootwait\n# no\n', 'config.txt': '' }))).toEqual([
      'partition 1: cmdline.txt | console=serial0 rootwait',
    ]); // prettier-ignore
  });

  it('is unknown where nobody says it, or what says it cannot be read', async () => {
    expect(await linesOf({ 'boot/boot.scr': 'x' }, { name: 'partition 1', content: readerOf(join(await writeTree({ a: 'x'.repeat(9000) }), 'a')) })).toEqual([]); // prettier-ignore
    const huge = await fatOf({ 'cmdline.txt': 'x'.repeat(2 ** 20 + 1) });
    expect(await linesOf({ x: '' }, huge)).toEqual([]);
  });
});
