import { createHash } from 'node:crypto';
import { appendFile, copyFile, open, readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { openFileReader, runProgram } from '@boxship/host';
import { readerSlice, type TreeEntry } from '@boxship/model';
import { editExt4 } from './edit-ext4.ts';
import { planExt4Edit } from './edit-plan.ts';
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

describe('editExt4', () => {
  it('writes what debugfs shows and e2fsck accepts, and says what it did', async () => {
    await using disk = await makeRootfs(FILES);
    const report = await editExt4(disk.file, disk.offset, CHANGES, { epoch: EPOCH });
    await disk.fsck();
    expect(report.tool).toMatch(/^debugfs \d/);
    expect(report.edits.map(({ path, action }) => `${action} ${path}`)).toEqual([
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
    const other = `${disk.folder}/other`;
    await copyFile(disk.file, other);
    await editExt4(disk.file, disk.offset, CHANGES, { epoch: EPOCH });
    const second = Math.floor(Date.now() / 1000);
    while (Math.floor(Date.now() / 1000) === second) await new Promise((done) => setTimeout(done, 50));
    const umask = process.umask(0o077);
    await editExt4(other, disk.offset, CHANGES, { epoch: EPOCH });
    process.umask(umask);
    expect(await sha256(other)).toBe(await sha256(disk.file));
  });

  it('leaves every byte outside the filesystem and every other file alone', async () => {
    await using disk = await makeRootfs(FILES);
    const before = await readFile(disk.file);
    await editExt4(disk.file, disk.offset, CHANGES, { epoch: EPOCH });
    const after = await readFile(disk.file);
    expect(after.length).toBe(before.length);
    expect(after.subarray(0, disk.offset).equals(before.subarray(0, disk.offset))).toBe(true);
    expect(await disk.debugfs('cat /usr/lib/systemd/system/docker.service')).toBe('[Service]\n');
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
    await editExt4(disk.file, disk.offset, added, { epoch: EPOCH });
    await disk.fsck();
    await disk.open(async (fs) => expect((await fs.readDirectory('many')).length).toBe(1560));
  });

  it('keeps hard links of a replaced file', async () => {
    await using disk = await makeRootfs({ a: 'one' });
    await runProgram('debugfs', ['-w', '-R', 'ln /a /b', `${disk.folder}/link?offset=${disk.offset}`]);
    await runProgram('debugfs', ['-w', '-R', 'sif /a links_count 2', `${disk.folder}/link?offset=${disk.offset}`]);
    await disk.fsck();
    await editExt4(disk.file, disk.offset, [editEntry('a', 'two')], { epoch: EPOCH });
    await disk.fsck();
    expect(await disk.debugfs('cat /b')).toBe('one');
  });
});

describe('editExt4 refuses, before it writes', () => {
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
    const before = await sha256(disk.file);
    await expect(editExt4(disk.file, disk.offset, CHANGES, { epoch: EPOCH })).rejects.toThrow(message);
    expect(await sha256(disk.file)).toBe(before);
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
    const before = await sha256(disk.file);
    await expect(editExt4(disk.file, disk.offset, [entry], { epoch: EPOCH })).rejects.toThrow(message);
    expect(await sha256(disk.file)).toBe(before);
  });

  it('dm-verity, its tree behind the filesystem', async () => {
    await using disk = await makeRootfs(FILES);
    await appendFile(disk.file, 'verity\0\0');
    await expect(editExt4(disk.file, disk.offset, CHANGES, { epoch: EPOCH })).rejects.toThrow('dm-verity');
  });

  it('the same things when it is only planned', async () => {
    await using disk = await makeRootfs(FILES);
    const before = await sha256(disk.file);
    await using reader = await openFileReader(disk.file);
    const rootfs = readerSlice(reader, disk.offset, reader.size - disk.offset);
    const planned = await planExt4Edit(rootfs, CHANGES, { epoch: EPOCH });
    expect(await sha256(disk.file)).toBe(before);
    expect((await editExt4(disk.file, disk.offset, CHANGES, { epoch: EPOCH })).edits).toEqual(planned);
  });

  it('a path that comes twice', async () => {
    await using disk = await makeRootfs(FILES);
    const twice = [editEntry('lib/x', ''), editEntry('usr/lib/x', '')];
    await expect(editExt4(disk.file, disk.offset, twice, { epoch: EPOCH })).rejects.toThrow('listed twice');
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
    const { edits } = await editExt4(disk.file, disk.offset, added, { epoch: EPOCH });
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
    await expect(editExt4(bare.file, bare.offset, added, { epoch: EPOCH })).rejects.toThrow(/has no .*file_contexts/);
    const few = { 'etc/selinux/targeted/contexts/files/file_contexts': '/etc/.* a:b:c:s0\n' };
    await using disk = await makeRootfs({ ...SELINUX, ...few });
    await expect(editExt4(disk.file, disk.offset, added, { epoch: EPOCH })).rejects.toThrow(/a label/);
  });
});

async function flip(disk: RootfsFixture, position: number, bits: number): Promise<void> {
  const file = await open(disk.file, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, disk.offset + position);
  byte[0] = bits < 0 ? byte[0]! & ~-bits : byte[0]! | bits;
  await file.write(byte, 0, 1, disk.offset + position);
  await file.close();
}

async function sha256(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}
