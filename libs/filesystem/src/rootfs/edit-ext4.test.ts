import { createHash } from 'node:crypto';
import { appendFile, chmod, copyFile, mkdir, open, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openFileReader, runProgram } from '@boxship/host';
import { readerSlice, type TreeEntry } from '@boxship/model';
import { ext4EditPatches } from './edit-ext4.ts';
import { planExt4Edit, type Edit } from './edit-plan.ts';
import { editEntry, makeRootfs, type RootfsFixture } from './rootfs-fixture.ts';

const EPOCH = 1_600_000_000;
const FILES = {
  'usr/lib/systemd/system/docker.service': '[Service]\n',
  'usr/lib/vendor': 'old',
  'usr/bin/': '',
  lib: '-> usr/lib',
  bin: '-> usr/bin',
};
const CHANGES: readonly TreeEntry[] = [
  editEntry('lib/boxship', undefined, { mode: 0o750, mtime: EPOCH }),
  editEntry('lib/boxship/a "b" c\'d', 'text\n', { mode: 0o4755, uid: 70000, gid: 80000, mtime: 1234567890, mtimeNanoseconds: 5 }),
  editEntry('lib/boxship/#<8> \xc3\xbc', 'x'.repeat(100_000)),
  editEntry('lib/boxship/empty', ''),
  editEntry('lib/boxship/later', 'z', { mtime: 5_000_000_000 }),
  editEntry('lib/boxship/link', `-> ../${'l'.repeat(70)} "q"`),
  editEntry('lib/boxship/caps', 'c', { xattrs: [{ name: 'security.capability', value: Buffer.from([1, 0, 0, 2, 0, 4, 0, 0]) }] }),
  editEntry('lib/systemd/system/multi-user.target.wants/boxship-apps.service', '-> ../boxship-apps.service'),
  editEntry('lib/vendor', 'new'),
  editEntry('usr/lib', undefined, { mode: 0o700 }),
]; // prettier-ignore

describe('ext4EditPatches', () => {
  it('writes what debugfs shows and e2fsck accepts, and says what it did', async () => {
    await using disk = await makeRootfs(FILES);
    const edits = await edit(disk, CHANGES);
    await disk.fsck();
    expect(edits.map(({ path, action }) => `${action} ${path}`)).toEqual([
      'add usr/lib/boxship',
      'add usr/lib/boxship/a "b" c\'d',
      'add usr/lib/boxship/#<8> \xc3\xbc',
      'add usr/lib/boxship/empty',
      'add usr/lib/boxship/later',
      'add usr/lib/boxship/link',
      'add usr/lib/boxship/caps',
      'add usr/lib/systemd/system/multi-user.target.wants',
      'add usr/lib/systemd/system/multi-user.target.wants/boxship-apps.service',
      'replace usr/lib/vendor',
      'keep usr/lib',
    ]);
    const odd = await disk.debugfs('stat "/usr/lib/boxship/a ""b"" c\'d"');
    expect(odd).toMatch(/Mode:\s+04755/);
    expect(odd).toMatch(/User:\s+70000\s+Group:\s+80000/);
    expect(odd).toMatch(/mtime: 0x499602d2:00000014/);
    expect(await disk.debugfs('stat /usr/lib')).toMatch(/Mode:\s+0755/);
    expect(await disk.debugfs('stat /usr/lib/boxship')).toMatch(/Mode:\s+0750/);
    expect(await disk.debugfs('cat /usr/lib/vendor')).toBe('new');
    expect(await disk.debugfs('stat /usr/lib/boxship/later')).toMatch(/mtime: 0x2a05f200:00000001/);
    expect(await disk.debugfs('ea_list /usr/lib/boxship/caps')).toContain('security.capability (8)');
    await disk.open(async (fs) => {
      expect(await fs.readLink('lib/boxship/link')).toBe(`../${'l'.repeat(70)} "q"`);
      expect(await fs.readText('lib/boxship/#<8> \xc3\xbc')).toBe('x'.repeat(100_000));
      expect((await fs.stat('lib/boxship/later'))?.mtime).toBe(5_000_000_000);
      expect((await fs.stat('lib/boxship'))?.mtime).toBe(EPOCH);
    });
  });

  it('is reproducible byte for byte, in another second and under another umask', async () => {
    await using disk = await makeRootfs(FILES);
    const patches = await patchesOf(disk, CHANGES);
    const second = Math.floor(Date.now() / 1000);
    while (Math.floor(Date.now() / 1000) === second) await new Promise((done) => setTimeout(done, 50));
    const umask = process.umask(0o077);
    const again = await patchesOf(disk, CHANGES);
    process.umask(umask);
    expect(again).toEqual(patches);
  });

  it('leaves every byte outside the filesystem and every other file alone', async () => {
    await using disk = await makeRootfs(FILES);
    const before = await readFile(disk.file);
    await edit(disk, CHANGES);
    const after = await readFile(disk.file);
    expect(after.length).toBe(before.length);
    expect(after.subarray(0, disk.offset).equals(before.subarray(0, disk.offset))).toBe(true);
    expect(await disk.debugfs('cat /usr/lib/systemd/system/docker.service')).toBe('[Service]\n');
  });

  it('only reads the file, and leaves nothing in the scratch folder', async () => {
    await using disk = await makeRootfs(FILES);
    const before = await sha256(disk.file);
    const scratch = join(disk.folder, 'größe "x"');
    await mkdir(scratch);
    await chmod(disk.file, 0o444);
    await patchesOf(disk, CHANGES, scratch);
    expect(await sha256(disk.file)).toBe(before);
    expect(await readdir(scratch)).toEqual([]);
  });

  it.each([
    ['blocks of 1024 bytes', ['-b', '1024']],
    ['blocks of 2048 bytes', ['-b', '2048']],
    ['blocks of 4096 bytes', ['-b', '4096']],
    ['a file of orphans', ['-O', 'orphan_file']],
    ['clusters', ['-O', 'bigalloc', '-C', '16384']],
    ['inline data', ['-O', 'inline_data']],
    ['group descriptors in each group', ['-O', 'meta_bg,^resize_inode', '-b', '1024']],
    ['ext2', ['-O', '^has_journal,^extents,^64bit,^metadata_csum,^flex_bg']],
  ])('makes what debugfs makes of the whole file system: %s', async (_name, options) => {
    await using disk = await makeRootfs({ ...FILES, large: 'y'.repeat(300_000) }, { options });
    const direct = join(disk.folder, 'direct');
    await copyFile(disk.file, direct);
    await symlink(direct, join(disk.folder, 'direct-link'));
    await writeFile(join(disk.folder, 'text'), 'x'.repeat(100_000));
    const script = [
      ...['cd "/usr/lib"', 'rm "/usr/lib/vendor"', `write "${disk.folder}/text" "vendor"`],
      ...['sif "/usr/lib/vendor" mode 0100644', 'sif "/usr/lib/vendor" uid 0', 'sif "/usr/lib/vendor" gid 0'],
      ...[`cd "/"`, `mkdir "new"`, 'sif "/new" mode 040755', 'sif "/new" uid 0', 'sif "/new" gid 0'],
      ...['sif "/usr/lib/vendor" mtime @1700000000', 'sif "/new" mtime @1700000000'],
    ];
    await writeFile(join(disk.folder, 'script'), `${script.join('\n')}\n`);
    const device = `${join(disk.folder, 'direct-link')}?offset=${disk.offset}`;
    const env = { E2FSPROGS_FAKE_TIME: String(EPOCH) };
    const { stderr } = await runProgram('debugfs', ['-w', '-f', join(disk.folder, 'script'), device], { env });
    expect(stderr.trim().split('\n')).toHaveLength(1); // its version
    await edit(disk, [editEntry('lib/vendor', 'x'.repeat(100_000)), editEntry('new', undefined)]);
    await disk.fsck();
    expect(await withoutCounter(disk.file, disk.offset)).toBe(await withoutCounter(direct, disk.offset));
  });

  it.each([
    ['a hash tree of e2fsck -D', []],
    ['no checksums', ['-O', '^metadata_csum']],
    ['inline data', ['-O', 'inline_data']],
    ['ext3', ['-O', '^extents,^64bit,^metadata_csum']],
  ])('adds to a full directory of 1500 files: %s', async (_name, options) => {
    const many = Object.fromEntries(Array.from({ length: 1500 }, (_, i) => [`many/${'n'.repeat(30)}-${i}`, 'x']));
    await using disk = await makeRootfs(many, { options: ['-b', '1024', '-N', '4000', ...options] });
    await runProgram('e2fsck', ['-fyD', `${disk.folder}/link?offset=${disk.offset}`], { accept: [0, 1] });
    const added = Array.from({ length: 60 }, (_, i) => editEntry(`many/${'z'.repeat(100)}-${i}`, 'new'));
    await edit(disk, added);
    await disk.fsck();
    await disk.open(async (fs) => expect((await fs.readDirectory('many')).length).toBe(1560));
  });

  it('keeps hard links of a replaced file', async () => {
    await using disk = await makeRootfs({ a: 'one' });
    await runProgram('debugfs', ['-w', '-R', 'ln /a /b', `${disk.folder}/link?offset=${disk.offset}`]);
    await runProgram('debugfs', ['-w', '-R', 'sif /a links_count 2', `${disk.folder}/link?offset=${disk.offset}`]);
    await disk.fsck();
    await edit(disk, [editEntry('a', 'two')]);
    await disk.fsck();
    expect(await disk.debugfs('cat /b')).toBe('one');
  });
});

describe('planExt4Edit refuses', () => {
  it.each([
    ['a journal to replay', 1024 + 0x60, 0x4, 'its journal holds changes'],
    ['an unclean filesystem', 1024 + 0x3a, -0x1, 'not unmounted cleanly'],
    ['recorded errors', 1024 + 0x3a, 0x2, 'recorded errors'],
    ['a read-only mark', 1024 + 0x65, 0x10, 'marked read-only'],
    ['shared blocks', 1024 + 0x65, 0x40, 'share blocks'],
    ['verity', 1024 + 0x65, 0x80, 'fs-verity'],
  ])('%s', async (_name, position, bits, message) => {
    await using disk = await makeRootfs(FILES);
    await flip(disk, position, bits);
    await expect(plan(disk, CHANGES)).rejects.toThrow(message);
  });

  it.each([
    ['a line break in a name', editEntry('a\nb', ''), 'line break'],
    ['a line break in a target', editEntry('a', '-> b\nrm /x'), 'line break'],
    ['a path that climbs', editEntry('a/../b', ''), 'its path'],
    ['a device', { ...editEntry('a', ''), type: 'characterDevice' } as TreeEntry, 'characterDevice'],
    ['a file in place of a directory', editEntry('usr/lib', ''), 'directory there'],
    ['a directory in place of a file', editEntry('lib/vendor', undefined), 'file there'],
    ['a file below a file', editEntry('lib/vendor/x', ''), 'cannot'],
    ['more than there is room for', editEntry('large', 'x'.repeat(20_000_000)), 'blocks of 4096 bytes'],
  ])('%s', async (_name, entry, message) => {
    await using disk = await makeRootfs(FILES, { options: ['-b', '4096'] });
    await expect(plan(disk, [entry])).rejects.toThrow(message);
  });

  it('many small files, each of which takes a whole cluster', async () => {
    const options = ['-b', '1024', '-N', '4000', '-O', 'bigalloc', '-C', '16384'];
    await using disk = await makeRootfs(FILES, { options });
    const small = Array.from({ length: 1000 }, (_, file) => editEntry(`usr/${file}`, 'x'));
    await expect(plan(disk, small)).rejects.toThrow('blocks of 1024 bytes');
    await edit(disk, small.slice(0, 200));
    await disk.fsck();
  });

  it('dm-verity, its tree behind the filesystem', async () => {
    await using disk = await makeRootfs(FILES);
    await appendFile(disk.file, 'verity\0\0');
    await expect(plan(disk, CHANGES)).rejects.toThrow('dm-verity');
  });

  it('a path that comes twice', async () => {
    await using disk = await makeRootfs(FILES);
    const twice = [editEntry('lib/x', ''), editEntry('usr/lib/x', '')];
    await expect(plan(disk, twice)).rejects.toThrow('listed twice');
  });
});

describe('on an SELinux base', () => {
  const CONTEXTS = `
/.*	system_u:object_r:default_t:s0
/usr/.*	system_u:object_r:usr_t:s0
/usr/lib/systemd/system(/.*)?	system_u:object_r:systemd_unit_file_t:s0
/usr/lib/boxship/.*	--	system_u:object_r:bin_t:s0
/usr/lib/boxship/none	<<none>>
/usr/lib/boxship/key\\.pem	--	system_u:object_r:cert_t:s0
/usr/lib/boxship/[^/]*	--	system_u:object_r:other_t:s0
`;
  const SELINUX = {
    ...FILES,
    'etc/selinux/config': '# comment\nSELINUX=enforcing\nSELINUXTYPE=targeted\n',
    'etc/selinux/targeted/policy/policy.33': 'x',
    'etc/selinux/targeted/contexts/files/file_contexts.subs_dist': '/opt/boxship /usr/lib/boxship\n',
  };
  const added = [
    editEntry('lib/boxship', undefined),
    editEntry('lib/boxship/run', ''),
    editEntry('lib/boxship/key.pem', ''),
    editEntry('lib/boxship/none', '-> x'),
    editEntry('lib/systemd/system/x.service', ''),
    editEntry('opt/boxship/tool', ''),
  ];

  it('labels every added file as the policy wants', async () => {
    await using disk = await makeRootfs({ ...SELINUX, 'etc/selinux/targeted/contexts/files/file_contexts': CONTEXTS });
    const edits = await edit(disk, added);
    await disk.fsck();
    const types = Object.fromEntries(edits.map(({ path, label }) => [path, label?.split(':')[2]]));
    expect(types).toEqual({
      'usr/lib/boxship': 'usr_t',
      'usr/lib/boxship/run': 'other_t',
      'usr/lib/boxship/key.pem': 'cert_t',
      'usr/lib/boxship/none': undefined,
      'usr/lib/systemd/system/x.service': 'systemd_unit_file_t',
      opt: 'default_t',
      'opt/boxship': 'usr_t',
      'opt/boxship/tool': 'other_t',
    });
    await disk.open(async (fs) => {
      const xattrs = await fs.xattrs('usr/lib/boxship/key.pem');
      expect(Buffer.from(xattrs[0]!.value).toString()).toBe('system_u:object_r:cert_t:s0\0');
    });
  });

  it('is refused without file_contexts, and without a rule', async () => {
    await using bare = await makeRootfs(SELINUX);
    await expect(plan(bare, added)).rejects.toThrow(/has no .*file_contexts/);
    const few = { 'etc/selinux/targeted/contexts/files/file_contexts': '/etc/.* a:b:c:s0\n' };
    await using disk = await makeRootfs({ ...SELINUX, ...few });
    await expect(plan(disk, added)).rejects.toThrow(/a label/);
  });
});

async function plan(disk: RootfsFixture, entries: readonly TreeEntry[]): Promise<readonly Edit[]> {
  await using reader = await openFileReader(disk.file);
  return await planExt4Edit(readerSlice(reader, disk.offset, reader.size - disk.offset), entries, { epoch: EPOCH });
}

async function patchesOf(disk: RootfsFixture, entries: readonly TreeEntry[], scratch?: string) {
  const edits = await plan(disk, entries);
  return await ext4EditPatches(disk.file, disk.offset, edits, { epoch: EPOCH, ...(scratch ? { scratch } : {}) });
}

/** Edits the file system where it is. */
async function edit(disk: RootfsFixture, entries: readonly TreeEntry[]): Promise<readonly Edit[]> {
  const edits = await plan(disk, entries);
  const patches = await patchesOf(disk, entries);
  await using file = await open(disk.file, 'r+');
  for (const { position, bytes } of patches) await file.write(bytes, 0, bytes.length, position);
  return edits;
}

async function flip(disk: RootfsFixture, position: number, bits: number): Promise<void> {
  const file = await open(disk.file, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, disk.offset + position);
  byte[0] = bits < 0 ? byte[0]! & ~-bits : byte[0]! | bits;
  await file.write(byte, 0, 1, disk.offset + position);
  await file.close();
}

/** A digest without `s_kbytes_written`, which counts what debugfs writes to its undo file, too, and the superblock's checksum. */
async function withoutCounter(path: string, offset: number): Promise<string> {
  const bytes = await readFile(path);
  bytes.fill(0, offset + 1024 + 0x178, offset + 1024 + 0x180).fill(0, offset + 1024 + 0x3fc, offset + 2048);
  return createHash('sha256').update(bytes).digest('hex');
}

async function sha256(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}
