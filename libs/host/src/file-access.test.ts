import { chmod, mkdir, open, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeFileAtomically } from './atomic-file.ts';
import { fileWriter, openFileReader, withPath } from './file-access.ts';
import { makeFolder } from './make-folder.ts';
import { isLeftover, partialPath } from './partial-file.ts';
import { withScratch } from './scratch.ts';

describe('openFileReader', () => {
  it('reads anywhere, and says where a file ends too early', async () => {
    await withScratch(async (folder) => {
      const path = join(folder, 'file');
      await writeFile(path, '0123456789');
      await using reader = await openFileReader(path);
      expect(reader.size).toBe(10);
      expect(Buffer.from(await reader.read(3, 4)).toString()).toBe('3456');
      expect(await reader.read(10, 0)).toHaveLength(0);
      const end = reader.read(8, 4);
      await expect(end).rejects.toMatchObject({ code: 'FILE_TOO_SHORT', message: expect.stringContaining('at byte 10, 2 bytes too early') }); // prettier-ignore
    });
  });
});

describe('fileWriter', () => {
  it('writes at positions, and names the file in errors', async () => {
    await withScratch(async (folder) => {
      const path = join(folder, 'file');
      const handle = await open(path, 'w');
      await fileWriter(handle, path).write(2, Buffer.from('ab'));
      await handle.close();
      expect([...(await readFile(path))]).toEqual([0, 0, 97, 98]);
      const full = await open('/dev/full', 'w');
      const write = fileWriter(full, '/dev/full').write(0, Buffer.from('x'));
      await expect(write).rejects.toMatchObject({ code: 'ENOSPC', path: '/dev/full' });
      await full.close();
    });
  });

  it('leaves errors alone that have a path, or are none of the system', () => {
    expect(withPath('text', '/a')).toBe('text');
    expect(withPath(new Error('x'), '/a')).not.toHaveProperty('path');
    expect(withPath(Object.assign(new Error('x'), { syscall: 'open', path: '/b' }), '/a')).toMatchObject({
      path: '/b',
    });
  });
});

describe('writeFileAtomically', () => {
  it('makes folders, sets the mode whatever the umask, and replaces', async () => {
    await withScratch(async (folder) => {
      const path = join(folder, 'a/b/file');
      const before = process.umask(0o077);
      try {
        await writeFileAtomically(path, 'one', 0o640);
        await writeFileAtomically(path, 'two');
      } finally {
        process.umask(before);
      }
      expect(await readFile(path, 'utf8')).toBe('two');
      expect((await stat(path)).mode & 0o777).toBe(0o644);
      expect(await readdir(join(folder, 'a/b'))).toEqual(['file']);
    });
  });

  it('leaves nothing behind when it cannot put the file in its place', async () => {
    await withScratch(async (folder) => {
      await mkdir(join(folder, 'taken'));
      await expect(writeFileAtomically(join(folder, 'taken'), 'x')).rejects.toThrow(/EISDIR|EEXIST|ENOTEMPTY/);
      expect(await readdir(folder)).toEqual(['taken']);
    });
  });
});

describe('makeFolder', () => {
  it('makes what is missing, at once from several sides', async () => {
    await withScratch(async (folder) => {
      await Promise.all(['a/b/c', 'a/b/d', 'a/b/c', 'a'].map((path) => makeFolder(join(folder, path))));
      expect((await readdir(join(folder, 'a/b'))).sort()).toEqual(['c', 'd']);
    });
  });

  it('says what is in the way, and ends where no folder can be made', async () => {
    await withScratch(async (folder) => {
      await writeFile(join(folder, 'file'), '');
      await expect(makeFolder(join(folder, 'file'))).rejects.toMatchObject({ code: 'EEXIST' });
      await expect(makeFolder(join(folder, 'file/below/it'))).rejects.toMatchObject({ code: 'ENOTDIR' });
      await expect(makeFolder('/proc/boxship/x')).rejects.toMatchObject({ code: 'ENOENT' });
    });
  });
});

describe('leftovers', () => {
  it('are what ended processes were writing here', async () => {
    const ours = partialPath('/deploy/acme-1.0');
    expect(ours).toMatch(/^\/deploy\/\.acme-1\.0\.\d+-[0-9a-f]{8}\.[0-9a-f]{8}\.partial$/);
    expect(await isLeftover(ours)).toBe(false);
    const as = (pid: number) => ours.replace(`.${process.pid}-`, `.${pid}-`);
    expect(await isLeftover(as(2 ** 22 + 1))).toBe(true);
    expect(await isLeftover(as(1))).toBe(false); // it runs
    expect(await isLeftover(ours.replace(/-[0-9a-f]{8}/, '-00000000'))).toBe(true); // a former bearer of our number
    for (const name of ['acme-1.0', '.acme.partial', '.acme.12-ab.partial', 'acme.12-ab.12345678.partial']) {
      expect(await isLeftover(`/deploy/${name}`)).toBe(false);
    }
  });

  it('of another machine are left alone until nothing has changed them for long', async () => {
    await withScratch(async (folder) => {
      const path = partialPath(join(folder, 'x')).replace(/[0-9a-f]{8}\.partial$/, '00000000.partial');
      await writeFile(path, '');
      expect(await isLeftover(path)).toBe(false);
      await new Promise((done) => setTimeout(done, 5));
      expect(await isLeftover(path, 1)).toBe(true);
    });
  });
});

describe('withScratch', () => {
  it('removes its folder whatever happens', async () => {
    let seen = '';
    const failing = withScratch(async (folder) => {
      seen = folder;
      await mkdir(join(folder, 'a'));
      await chmod(join(folder, 'a'), 0o500);
      throw new Error('broken');
    });
    await expect(failing).rejects.toThrow('broken');
    await expect(stat(seen)).rejects.toThrow('ENOENT');
    await rm(seen, { recursive: true, force: true });
  });
});
