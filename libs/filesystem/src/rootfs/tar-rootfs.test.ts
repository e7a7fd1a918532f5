import { createHash } from 'node:crypto';
import {
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  readlink,
  rm,
  symlink,
  truncate,
  writeFile,
  link,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFileReader, runProgram } from '@boxship/host';
import type { RandomReader, UserError } from '@boxship/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readDeviceFacts } from './device-facts.ts';
import { planRootfsEdit } from './edit-plan.ts';
import type { RootfsReader } from './rootfs-reader.ts';
import { tarHeader } from '../tar/index.ts';
import { openTarRootfs } from './tar-rootfs.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-tar-rootfs-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A root of every kind of file, as a folder and as the archive that GNU tar makes of it. */
async function makeRoot(name: string): Promise<{ readonly root: string; readonly tar: string }> {
  const root = join(folder, name);
  await mkdir(join(root, 'usr/lib/systemd'), { recursive: true });
  await mkdir(join(root, 'usr/sbin'), { recursive: true });
  await mkdir(join(root, 'etc'));
  await symlink('usr/lib', join(root, 'lib'));
  await symlink('usr/sbin', join(root, 'sbin'));
  await writeFile(join(root, 'usr/lib/os-release'), 'ID=acme\n');
  await symlink('../usr/lib/os-release', join(root, 'etc/os-release'));
  await writeFile(join(root, 'usr/lib/systemd/systemd'), 'x'.repeat(70_000));
  await writeFile(join(root, 'usr/lib/systemd/libsystemd-shared-252.so'), '');
  await symlink('/lib/systemd/systemd', join(root, 'usr/sbin/init'));
  await writeFile(join(root, 'usr/sbin/openssl'), 'program', { mode: 0o755 });
  await link(join(root, 'usr/sbin/openssl'), join(root, 'usr/sbin/sh'));
  await symlink('loop', join(root, 'etc/loop'));
  const sparse = join(root, 'etc/sparse');
  await writeFile(sparse, 'begin');
  await truncate(sparse, 3 << 20);
  await runProgram('dd', [
    'if=/dev/urandom',
    `of=${sparse}`,
    'bs=4096',
    'seek=300',
    'count=2',
    'conv=notrunc',
    'status=none',
  ]);
  await runProgram('setfattr', ['-n', 'user.boxship', '-v', 'kept', join(root, 'usr/sbin/openssl')]);
  const tar = join(folder, `${name}.tar`);
  await runProgram('tar', ['--xattrs', '--xattrs-include=*', '--sparse', '-C', root, '-cf', tar, '.']);
  return { root, tar };
}

const open = async <T>(tar: string, work: (fs: RootfsReader, reader: RandomReader) => Promise<T>): Promise<T> => {
  await using reader = await openFileReader(tar);
  return await work(await openTarRootfs(reader, { name: 'rootfs.tar' }), reader);
};

const fault = async (work: Promise<unknown>): Promise<UserError> =>
  await work.then(
    () => expect.fail('no error'),
    (error: unknown) => error as UserError,
  );

describe('the root filesystem in a tar archive', () => {
  it('is what tar unpacks: names, kinds, modes, sizes, links, contents', async () => {
    const { root, tar } = await makeRoot('whole');
    await open(tar, async (fs) => {
      let files = 0;
      const compare = async (path: string): Promise<void> => {
        const real = await lstat(join(root, path));
        const ours = (await fs.lstat(path))!;
        expect([path, ours.mode, ours.uid, ours.gid], path).toEqual([path, real.mode & 0o7777, real.uid, real.gid]);
        expect(ours.mtime).toBe(Math.floor(real.mtimeMs / 1000));
        files += 1;
        if (real.isSymbolicLink()) expect(await fs.readLink(path)).toBe(await readlink(join(root, path)));
        else if (real.isFile()) {
          expect([ours.type, ours.size, ours.links]).toEqual(['file', real.size, real.nlink]);
          const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
          expect(hash(await fs.readFile(path))).toBe(hash(await readFile(join(root, path))));
        } else {
          const names = (await readdir(join(root, path))).sort();
          expect((await fs.readDirectory(path)).map(({ name }) => name)).toEqual(names);
          for (const name of names) await compare(path === '' ? name : `${path}/${name}`);
        }
      };
      await compare('');
      expect(files).toBeGreaterThan(14);
      expect((await fs.stat('usr/sbin/sh'))!.inode).toBe((await fs.stat('usr/sbin/openssl'))!.inode);
      expect(await fs.xattrs('usr/sbin/sh')).toEqual([
        { name: 'user.boxship', value: new Uint8Array(Buffer.from('kept')) },
      ]);
      expect(Buffer.from(await fs.readRange('etc/sparse', 1, 6)).toString('latin1')).toBe('egin\0\0');
    });
  });

  it('is walked as the device would: links followed, none out of it, loops end', async () => {
    const { tar } = await makeRoot('walk');
    await open(tar, async (fs) => {
      expect(await fs.realPath('sbin/init')).toBe('usr/lib/systemd/systemd');
      expect(await fs.readText('/etc/os-release')).toBe('ID=acme\n');
      expect(await fs.exists('etc/loop')).toBe(false);
      expect(await fs.realPath('../../etc/../lib')).toBe('usr/lib');
      expect(await fs.readText('etc')).toBeUndefined();
      expect((await fault(fs.readFile('etc/none'))).code).toBe('FILE_MISSING');
      expect((await fault(fs.readFile('etc/sparse', 10))).code).toBe('FILE_TOO_LARGE');
    });
  });

  it('says what the device is, as an ext4 does, and where files would go', async () => {
    const { tar } = await makeRoot('facts');
    await open(tar, async (fs) => {
      expect(await readDeviceFacts(fs)).toMatchObject({
        osRelease: { ID: 'acme' },
        init: 'systemd',
        systemdVersion: 252,
        mergedUsr: true,
        programs: { openssl: '/usr/sbin/openssl', sh: '/usr/sbin/sh' },
      });
      const common = { mode: 0o644, uid: 0, gid: 0, mtime: 0, mtimeNanoseconds: 0, size: 0 };
      const entries = ['lib/boxship/x', 'etc/os-release'].map((path) => ({ ...common, path, type: 'file' as const }));
      const edits = await planRootfsEdit(fs, entries, { epoch: 0 });
      expect(edits.map(({ path, action }) => `${action} ${path}`)).toEqual([
        'add usr/lib/boxship', 'add usr/lib/boxship/x', 'replace etc/os-release',
      ]); // prettier-ignore
    });
  });

  it('takes what a later entry says, and folders through symlinks', async () => {
    const tar = join(folder, 'twice.tar');
    const script = `
import tarfile, io
t = tarfile.open(${JSON.stringify(tar)}, 'w')
def add(name, data=None, **more):
    i = tarfile.TarInfo(name)
    for k, v in more.items(): setattr(i, k, v)
    i.size = len(data or b''); t.addfile(i, io.BytesIO(data or b''))
add('usr/lib', type=tarfile.DIRTYPE, mode=0o755)
add('lib', type=tarfile.SYMTYPE, linkname='usr/lib')
add('lib/a', b'old'); add('lib/a', b'young')
add('lib', type=tarfile.DIRTYPE, mode=0o700)
add('lib/b', b'b')
t.close()`;
    await runProgram('python3', ['-c', script]);
    await open(tar, async (fs) => {
      expect(await fs.readText('usr/lib/a')).toBe('young');
      expect(await fs.readText('usr/lib/b')).toBe('b');
      expect((await fs.lstat('lib'))!.type).toBe('symlink');
    });
  });

  it('refuses a hard link to nothing, an archive cut short, and one with too many entries', async () => {
    const { tar } = await makeRoot('bad');
    await using reader = await openFileReader(tar);
    const few = await fault(openTarRootfs(reader, { name: 'rootfs.tar', maxEntries: 5 }));
    expect(few.message).toContain('rootfs.tar has more than 5 entries');
    const cut = { size: 20_000, read: reader.read };
    expect((await fault(openTarRootfs(cut, { name: 'rootfs.tar' }))).code).toBe('TAR_TRUNCATED');
    const lost = join(folder, 'lost.tar');
    const script = `import tarfile; t = tarfile.open(${JSON.stringify(lost)}, 'w'); i = tarfile.TarInfo('a'); i.type = tarfile.LNKTYPE; i.linkname = 'none'; t.addfile(i); t.close()`;
    await runProgram('python3', ['-c', script]);
    expect((await fault(open(lost, async () => {}))).message).toContain('it links to /none, which is no file');
  });

  it('with two million entries is refused at the half million that it may have: the rest is not read, memory is bounded', async () => {
    const entries = 2_000_000;
    const header = Buffer.from(tarHeader({ path: 'usr/share/0000000', type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 0, mtimeNanoseconds: 0, size: 0 })); // prettier-ignore
    const sum = header.reduce((all, byte) => all + byte, 0) - header.subarray(148, 156).reduce((all, byte) => all + byte, 0) + 8 * 32; // prettier-ignore
    let read = 0;
    /** An archive of a million kilobytes that nobody has to store: each header is the same but for its number. */
    const reader: RandomReader = {
      size: entries * 512 + 1024,
      read(position, length) {
        read += length;
        const bytes = Buffer.alloc(length);
        for (let at = 0; at < length; at += 512) {
          const number = (position + at) / 512;
          if (number >= entries) break;
          header.copy(bytes, at);
          const digits = String(number).padStart(7, '0');
          bytes.write(digits, at + 10, 'latin1');
          const added = [...digits].reduce((all, digit) => all + Number(digit), 0);
          bytes.write(`${(sum + added).toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1');
        }
        return Promise.resolve(bytes);
      },
    };
    const before = process.memoryUsage.rss();
    const error = await fault(openTarRootfs(reader, { name: 'rootfs.tar' }));
    expect(error.message).toContain('rootfs.tar has more than 500000 entries');
    expect(error.code).toBe('ROOTFS_TOO_MANY_ENTRIES');
    expect(read).toBeLessThan(500_001 * 512 + (2 << 20));
    expect(process.memoryUsage.rss() - before).toBeLessThan(400 << 20);
    // within the limit all of it is there
    const few = await openTarRootfs({ ...reader, size: 20_000 * 512 }, { name: 'rootfs.tar' });
    expect(await few.readDirectory('usr/share')).toHaveLength(20_000);
  });
});
