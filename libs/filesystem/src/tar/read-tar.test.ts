import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixChecksum, itNeeds, listWithPython, makeTree, readBack, readBackFile } from './test-archives.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-tar-'));
  await mkdir(join(folder, 'tree'));
  await makeTree(join(folder, 'tree'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const withGnuTar = await itNeeds('tar', 'python3');
const withBsdtar = await itNeeds('bsdtar', 'python3');

const gnu = async (name: string, ...options: string[]) => {
  const archive = join(folder, name);
  await runProgram('tar', ['-cf', archive, '-C', join(folder, 'tree'), '--sort=name', ...options, '.']);
  return archive;
};

describe('what GNU tar writes reads as python reads it', () => {
  const formats = {
    gnu: ['--format=gnu'],
    'gnu, sparse': ['--format=gnu', '--sparse', '--hole-detection=raw'],
    pax: ['--format=pax'],
    'pax with xattrs': ['--format=pax', '--xattrs', '--xattrs-include=*'],
    'pax, sparse 0.0': ['--format=pax', '--sparse-version=0.0', '--sparse', '--hole-detection=raw'],
    'pax, sparse 0.1': ['--format=pax', '--sparse-version=0.1', '--sparse', '--hole-detection=raw'],
    'pax, sparse 1.0': ['--format=pax', '--sparse-version=1.0', '--sparse', '--hole-detection=raw'],
    'pax with global headers': ['--format=pax', '--pax-option=globexthdr.name=global,comment=x,uid=77'],
  };
  for (const [name, options] of Object.entries(formats)) {
    withGnuTar(name, async () => {
      const archive = await gnu(`${name.replaceAll(' ', '-')}.tar`, ...options);
      const read = await readBackFile(archive);
      const oracle = (await listWithPython(archive)).map((entry) => ({
        ...entry,
        path: entry.path === '.' ? '' : entry.path.replace(/^\.\//, ''),
        ...(entry.type === 'hardlink' ? { link: entry.link!.replace(/^\.\//, '') } : {}),
      }));
      expect(oracle.length).toBeGreaterThan(25);
      expect(read.listed()).toEqual(oracle);
      expect(read.stream.equals(await readFile(archive))).toBe(true);
    });
  }

  withGnuTar('sparse files are told as segments', async () => {
    const read = await readBackFile(await gnu('segments.tar', '--format=gnu', '--sparse', '--hole-detection=raw'));
    const many = read.entries.find(({ path }) => path === 'sparse-many')!;
    expect(many.segments).toHaveLength(30); // 26 of them in extension headers
    expect(many.size).toBe(8 << 20);
    expect(many.storedSize).toBeLessThan(200_000);
    expect(read.entries.find(({ path }) => path === 'sparse-hole')!.segments).toEqual([]);
  });

  withGnuTar('a hole of 20 TB is refused, one of 9 GB is read', async () => {
    const small = join(folder, 'small');
    await mkdir(small);
    await runProgram('truncate', ['-s', '9G', join(small, 'nine')]);
    const archive = join(folder, 'nine.tar');
    await runProgram('tar', ['-cSf', archive, '--format=gnu', '-C', small, 'nine']);
    expect((await readBackFile(archive)).entries[0]).toMatchObject({
      size: 9 * 1024 ** 3,
      storedSize: 0,
      segments: [],
    });
    const huge = await readFile(archive);
    huge.set([0x80, 0, 0, 0, 0, 0, 0x12, 0x30, 0, 0, 0, 0], 483); // the real size, base-256
    expect(() => readBack(fixChecksum(huge))).toThrow('"nine" at offset 0: a size of 19997');
  });
});

describe('what bsdtar writes reads as python reads it', () => {
  for (const format of ['pax', 'ustar', 'gnutar']) {
    withBsdtar(format, async () => {
      const archive = join(folder, `bsd-${format}.tar`);
      const names = format === 'ustar' ? ['dir/plain', 'dir/symlink', 'dir/sticky', 'dir/fifo', 'dir/block+1'] : ['.'];
      await runProgram('bsdtar', [
        '-cf',
        archive,
        '--format',
        format,
        '--xattrs',
        '-C',
        join(folder, 'tree'),
        ...names,
      ]);
      const read = await readBackFile(archive);
      // python keeps no zeros of a hole that bsdtar's pax states as GNU sparse 1.0, and neither do we: content is compared
      const oracle = (await listWithPython(archive)).map((entry) => ({
        ...entry,
        path: entry.path === '.' ? '' : entry.path.replace(/^\.\//, ''),
        ...(entry.type === 'hardlink' ? { link: entry.link!.replace(/^\.\//, '') } : {}),
      }));
      expect(read.listed()).toEqual(oracle);
      expect(read.stream.equals(await readFile(archive))).toBe(true);
    });
  }

  withBsdtar('LIBARCHIVE xattrs alone', async () => {
    const archive = join(folder, 'libarchive.tar');
    await runProgram('bsdtar', [
      '-cf',
      archive,
      '--format',
      'pax',
      '--xattrs',
      '-C',
      join(folder, 'tree'),
      'dir/plain',
    ]);
    const bytes = await readFile(archive);
    const read = readBack(bytes).entries[0]!;
    if (!read.xattrs) return expect(bytes.includes('xattr.')).toBe(false); // a file system without user xattrs
    for (let at = bytes.indexOf('SCHILY.xattr'); at >= 0; at = bytes.indexOf('SCHILY.xattr')) bytes.write('IGNORE', at);
    expect(readBack(bytes).entries[0]!.xattrs).toEqual(read.xattrs);
  });
});

describe('pieces', () => {
  for (const size of [1, 7, 511, 512, 513, 4096, 1 << 24]) {
    withGnuTar(`of ${size} bytes give the same entries`, async () => {
      const small = await gnu(`pieces-${size}.tar`, '--format=pax', '--exclude=sparse*');
      const archive = await readFile(small);
      const whole = readBack(archive);
      const pieces = readBack(archive, size);
      expect(pieces.entries).toEqual(whole.entries);
      expect(pieces.listed()).toEqual(whole.listed());
      expect(pieces.stream.equals(archive)).toBe(true);
    });
  }
});

describe('global headers', () => {
  withGnuTar('are left alone when asked, as container engines do', async () => {
    const archive = await readFile(
      await gnu('global.tar', '--format=pax', '--pax-option=globexthdr.name=global,uid=77'),
    );
    expect(readBack(archive, 512).entries.filter(({ uid }) => uid === 77).length).toBeGreaterThan(20);
    const ignored = readBack(archive, 512, { globalHeaders: 'ignore' });
    expect(ignored.globals).toEqual(['global']);
    expect(ignored.entries.some(({ uid }) => uid === 77)).toBe(false);
  });
});

it('an empty stream, and one of zeros, is an empty archive', () => {
  expect(readBack(Buffer.alloc(0)).entries).toEqual([]);
  expect(readBack(Buffer.alloc(10240)).entries).toEqual([]);
});
