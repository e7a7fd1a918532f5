import { open } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';
import { makeRootfs, type RootfsFixture } from './rootfs-fixture.ts';

const LONG = 'x/'.repeat(60) + 'end';
const BIG = Array.from({ length: 300_000 }, (_, i) => String.fromCharCode(32 + (i % 90))).join('');

describe.each([
  ['ext4 defaults', []],
  ['1 KiB blocks', ['-b', '1024']],
  ['ext2: block maps', ['-O', '^extents,^has_journal,^64bit,^metadata_csum', '-b', '1024']],
  ['inline data', ['-O', 'inline_data', '-I', '256']],
  ['meta_bg', ['-O', 'meta_bg,^resize_inode', '-b', '1024']],
  ['inodes of 128 bytes', ['-I', '128']],
])('openExt4 reads what mke2fs wrote: %s', (_name, options) => {
  it('files, directories, symlinks', async () => {
    await using disk = await makeRootfs(
      {
        'etc/os-release': 'ID=test\n',
        'usr/lib/a b "c"/ü': 'odd names',
        'usr/bin/': '',
        lib: '-> usr/lib',
        abs: '-> /lib/a b "c"/../a b "c"',
        out: '-> ../../../../etc/os-release',
        long: `-> ${LONG}`,
        loop: '-> loop2',
        loop2: '-> /loop',
        empty: '',
        small: 'y'.repeat(100),
        big: BIG,
        ...Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`many/${'n'.repeat(40)}-${i}`, String(i)])),
      },
      { options },
    );
    await disk.open(async (fs) => {
      expect(await fs.readText('/etc/os-release')).toBe('ID=test\n');
      expect(await fs.readText('abs/\xc3\xbc')).toBe('odd names');
      expect(await fs.realPath('abs')).toBe('usr/lib/a b "c"');
      expect(await fs.readText('out')).toBe('ID=test\n');
      expect(await fs.readLink('long')).toBe(LONG);
      expect(await fs.stat('loop')).toBeUndefined();
      expect((await fs.lstat('loop'))?.type).toBe('symlink');
      expect(await fs.readText('empty')).toBe('');
      expect(await fs.readText('small')).toBe('y'.repeat(100));
      expect(await fs.readText('big')).toBe(BIG);
      expect(Buffer.from(await fs.readRange('big', 123_456, 10_000)).toString()).toBe(BIG.slice(123_456, 133_456));
      expect(await fs.exists('big/x')).toBe(false);
      expect((await fs.readDirectory('many')).length).toBe(400);
      expect(await fs.readText(`many/${'n'.repeat(40)}-399`)).toBe('399');
      await expect(fs.readFile('big', 1000)).rejects.toThrow(/more than 1000 B/);
      await expect(fs.readFile('nothing')).rejects.toThrow(/has no file \/nothing/);
      const stat = await fs.stat('etc/os-release');
      const told = await disk.debugfs('stat /etc/os-release');
      expect(told).toContain(`Inode: ${stat!.inode} `);
      expect(told).toContain(`Size: ${stat!.size}`);
    });
  });
});

it('reads hash trees of the real e2fsck -D, holes and extended attributes of both places', async () => {
  const names = Array.from({ length: 2000 }, (_, i) => [`many/${'n'.repeat(40)}-${i}`, 'x']);
  await using disk = await makeRootfs(
    { ...Object.fromEntries(names), f: 'f' },
    { options: ['-b', '1024', '-N', '4000'] },
  );
  const device = `${disk.folder}/link?offset=${disk.offset}`;
  await runProgram('e2fsck', ['-fyD', device], { accept: [0, 1] });
  expect(await disk.debugfs('htree_dump /many')).toContain('Indirect levels: 1');
  const script = `${disk.folder}/script`;
  const file = await open(script, 'w');
  await file.writeFile(
    `ea_set /f security.capability abc\nea_set /f user.large ${'v'.repeat(800)}\nea_set /f trusted.overlay.opaque y\n`,
  );
  await file.close();
  await runProgram('debugfs', ['-w', '-f', script, device]);
  await disk.open(async (fs) => {
    expect((await fs.readDirectory('many')).length).toBe(2000);
    const xattrs = Object.fromEntries(
      (await fs.xattrs('f')).map((xattr) => [xattr.name, Buffer.from(xattr.value).toString()]),
    );
    expect(xattrs).toEqual({
      'security.capability': 'abc',
      'user.large': 'v'.repeat(800),
      'trusted.overlay.opaque': 'y',
    });
  });
});

describe('openExt4 refuses', () => {
  it.each([
    ['squashfs', 0, Buffer.from('hsqs')],
    ['erofs', 1024, Buffer.from([0xe2, 0xe1, 0xf5, 0xe0])],
    ['btrfs', 65600, Buffer.from('_BHRfS_M')],
  ])('%s by name', async (name, position, magic) => {
    await using disk = await makeRootfs({ a: 'a' });
    await patch(disk, 1024 + 0x38, Buffer.alloc(2));
    await patch(disk, position, magic);
    await expect(disk.open((fs) => fs.stat(''))).rejects.toThrow(new RegExp(`is ${name}, not ext4`));
  });

  it('a filesystem that is longer than its partition', async () => {
    await using disk = await makeRootfs({ a: 'a' });
    const size = Buffer.alloc(4);
    size.writeUInt32LE(1_000_000);
    await patch(disk, 1024 + 4, size);
    await expect(disk.open((fs) => fs.stat(''))).rejects.toThrow(/its partition only/);
  });

  it('unknown features', async () => {
    await using disk = await makeRootfs({ a: 'a' });
    await patch(disk, 1024 + 0x60, Buffer.from([0xff, 0xff, 0xff, 0x7f]));
    await expect(disk.open((fs) => fs.stat(''))).rejects.toThrow(/features that are not known/);
  });
});

it('damage anywhere is an error for people, or not seen; never a hang or a crash', async () => {
  await using disk = await makeRootfs(
    { 'a/b/c': 'x'.repeat(5000), 'a/link': '-> b/c', d: '-> a' },
    { size: 1024 * 1024, options: ['-b', '1024', '-O', '^has_journal'] },
  );
  const whole = await open(disk.file, 'r+');
  const before = Buffer.alloc(1024 * 1024);
  await whole.read(before, 0, before.length, disk.offset);
  let seed = 12345;
  const random = (below: number) => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % below;
  const used = [...Array(1024).keys()].filter((block) =>
    before.subarray(block * 1024, block * 1024 + 1024).some((byte) => byte !== 0),
  );
  for (let round = 0; round < 400; round += 1) {
    const at = used[random(used.length)]! * 1024 + random(1024);
    const bytes = Buffer.from([random(256), random(256)]);
    await whole.write(bytes, 0, 2, disk.offset + at);
    await disk
      .open(async (fs) => {
        await fs.readFile('d/link');
        await fs.readDirectory('/');
        await fs.xattrs('a/b/c');
      })
      .catch((error: Error) => {
        if (error.name !== 'UserError') throw error;
      });
    await whole.write(before, at, 2, disk.offset + at);
  }
  await whole.close();
});

async function patch(disk: RootfsFixture, position: number, bytes: Uint8Array): Promise<void> {
  const file = await open(disk.file, 'r+');
  await file.write(bytes, 0, bytes.length, disk.offset + position);
  await file.close();
}
