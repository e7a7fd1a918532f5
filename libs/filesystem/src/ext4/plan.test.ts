import { open, readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { fileWriter, runProgram, withScratch } from '@boxship/host';
import { UserError, type ContentSource, type RandomWriter, type Tree, type TreeEntry } from '@boxship/model';
import { describe, expect, it } from 'vitest';
import { planExt4, writeExt4 } from './index.ts';
import { OPTIONS, checkImage, toolsMissing, writeImage } from './testing/image.ts';
import { choppedSource, directory, file, noise, other, sampleTree, treeOf } from './testing/sample-tree.ts';

const MiB = 2 ** 20;
const missing = toolsMissing('e2fsck', 'dumpe2fs', 'debugfs', 'resize2fs');
const oracle = missing ? `e2fsprogs (skipped: ${missing})` : 'e2fsprogs';

/** A source that nobody reads in these tests: what is not written reads as zeros. */
function emptySource(size: number): ContentSource {
  return {
    id: `zeros-${size}`,
    size,
    open() {
      throw new Error('not to be read');
    },
  };
}

/** The message of STORE_FULL. */
function refusal(plan: () => unknown): string {
  try {
    plan();
  } catch (error) {
    expect(error).toMatchObject({ code: 'STORE_FULL' });
    return (error as UserError).message;
  }
  return expect.fail('it fits');
}

async function dump(image: string): Promise<string> {
  return (await runProgram('dumpe2fs', [image])).stdout.toString();
}

async function debugfs(image: string, request: string): Promise<string> {
  return (await runProgram('debugfs', ['-R', request, image])).stdout.toString();
}

describe.skipIf(missing !== undefined)(`ext4 and ${oracle}`, () => {
  it('passes e2fsck with one of everything, and without a journal', async () => {
    await withScratch(async (scratch) => {
      await writeImage(sampleTree(), join(scratch, 'a'));
      await checkImage(join(scratch, 'a'));
      await writeImage(sampleTree(), join(scratch, 'b'), { journal: { size: 0 }, growthFactor: 1 });
      await checkImage(join(scratch, 'b'));
      const plan = await writeImage(treeOf(), join(scratch, 'c'), { size: { auto: true, reserveFraction: 0 } });
      await checkImage(join(scratch, 'c'));
      expect(plan.usedBytes + plan.freeBytes + plan.overheadBytes).toBe(plan.sizeBytes);
    });
  });

  it('has the features, names and times that were asked for', async () => {
    await withScratch(async (scratch) => {
      const image = join(scratch, 'image');
      await writeImage(sampleTree(), image, { size: { exact: 600 * MiB } });
      const text = await dump(image);
      const value = (name: string) => new RegExp(`^${name}: +(.*)$`, 'm').exec(text)?.[1]?.trim();
      expect(value('Filesystem features')).toBe(
        'has_journal ext_attr resize_inode dir_index filetype extent 64bit flex_bg sparse_super large_file huge_file dir_nlink extra_isize metadata_csum',
      );
      expect(value('Filesystem UUID')).toBe(OPTIONS.uuid);
      expect(value('Filesystem volume name')).toBe(OPTIONS.label);
      expect(value('Directory Hash Seed')).toBe(OPTIONS.hashSeed);
      expect(value('Filesystem flags')).toBe('unsigned_directory_hash');
      expect(value('Filesystem created')).toBe('Tue Nov 14 22:13:20 2023');
      expect(value('Block count')).toBe('153600');
      expect(value('Total journal blocks')).toBe('4096');
      expect(value('Reserved GDT blocks')).toBe('4'); // 64 × 600 MiB are 300 groups: 5 blocks, of which 1 is in use
      expect(text).toContain('INODE_UNINIT, BLOCK_UNINIT');
    });
  });

  it.each([
    ['one small group', 20 * MiB],
    ['a last group that is too small to keep', 128 * MiB + 40 * 4096],
    ['a last group with a copy of the superblock', 140 * MiB],
    ['a size that is no multiple of a block', 300 * MiB + 1234],
    ['two flex groups', 2200 * MiB],
    ['twelve flex groups and a journal of 128 MiB', 24_500 * MiB],
    ['a journal that has an extent tree, as have the descriptors of 1120 groups', 140_000 * MiB],
  ])('passes e2fsck with %s', async (_name, size) => {
    await withScratch(async (scratch) => {
      const image = join(scratch, 'image');
      const plan = await writeImage(sampleTree(), image, { size: { exact: size } });
      expect(plan.sizeBytes).toBeLessThanOrEqual(size);
      expect(plan.usedBytes + plan.freeBytes + plan.overheadBytes).toBe(plan.sizeBytes);
      await checkImage(image);
    });
  });

  it('places a file behind 2.5 GB of another, in the second flex group', async () => {
    await withScratch(async (scratch) => {
      const image = join(scratch, 'image');
      const filler = emptySource(2500 * MiB);
      const after = choppedSource('after', noise(10_000, 5));
      const plan = planExt4(treeOf(file('filler', filler, 0, filler.size), file('after', after, 0, 10_000)), OPTIONS);
      const handle = await open(image, 'w+');
      await plan.writeMetadata(fileWriter(handle));
      const writer = plan.contentWriter(after, fileWriter(handle));
      for await (const chunk of after.open()) await writer.write(chunk);
      await writer.end();
      await handle.close();
      await checkImage(image);
      expect(Number(/\(0-2\):(\d+)/.exec(await debugfs(image, 'stat after'))?.[1])).toBeGreaterThan(16 * 32768);
      await runProgram('debugfs', ['-R', `dump after ${join(scratch, 'copy')}`, image]);
      expect(Buffer.compare(await readFile(join(scratch, 'copy')), noise(10_000, 5))).toBe(0);
    });
  });

  it('shares a block of attributes between 1024 inodes at most', async () => {
    await withScratch(async (scratch) => {
      const image = join(scratch, 'image');
      const xattrs = [{ name: 'user.long', value: noise(300, 1) }];
      const entries = Array.from({ length: 2500 }, (_, index) => ({ ...file(`f${index}`), xattrs }));
      await writeImage(treeOf(...entries), image);
      await checkImage(image);
      const blocks = await Promise.all([0, 1023, 1024, 2499].map((index) => debugfs(image, `stat f${index}`)));
      const [first, same, second, third] = blocks.map((text) => /File ACL: (\d+)/.exec(text)?.[1]);
      expect(same).toBe(first);
      expect(new Set([first, second, third]).size).toBe(3);
    });
  });

  it('hashes names as e2fsprogs does', async () => {
    await withScratch(async (scratch) => {
      const image = join(scratch, 'image');
      const names = [
        'a',
        'x'.repeat(32),
        'y'.repeat(33),
        'z'.repeat(255),
        'grüße',
        '日本語'.repeat(20),
        'with.dots.and-1',
      ];
      const filler = Array.from({ length: 600 }, (_, index) => file(`d/filler-${index}`));
      const wanted = names.map((name) => file(`d/${Buffer.from(name).toString('latin1')}`));
      await writeImage(treeOf(directory('d'), ...filler, ...wanted), image);
      await checkImage(image); // compares the hash of each name with the bounds of its leaf
      const text = await debugfs(image, 'htree_dump d');
      expect(text).toContain('Hash Version: 1');
      expect(text).toContain('Indirect levels: 0');
      for (const name of names.filter((name) => /^[\x20-\x7e]*$/.test(name)))
        expect(text).toContain(` ${name.slice(0, 40)}`);
    });
  });

  it('cuts a directory of 40,000 long names into a tree of two levels', async () => {
    const tree: Tree = {
      *entries() {
        yield directory('d');
        for (let index = 0; index < 40_000; index++) yield file(`d/${String(index).padStart(200, 'n')}`);
      },
    };
    await withScratch(async (scratch) => {
      const image = join(scratch, 'image');
      await writeImage(tree, image);
      await checkImage(image);
      expect(await debugfs(image, 'htree_dump d')).toContain('Indirect levels: 1');
    });
  });

  it('grows offline, 64-fold', async () => {
    await withScratch(async (scratch) => {
      const image = join(scratch, 'image');
      const plan = await writeImage(sampleTree(), image, { size: { exact: 200 * MiB } });
      await truncate(image, plan.sizeBytes * 64);
      await runProgram('resize2fs', [image]);
      await checkImage(image);
      expect(await dump(image)).toContain(`Block count:              ${(plan.sizeBytes / 4096) * 64}\n`);
    });
  });

  it('fits exactly: one block less is too small', async () => {
    const source = choppedSource('s', noise(3 * MiB, 1));
    const entries = Array.from({ length: 1000 }, (_, index) => file(`f${index}`, source, index * 3000, 3000 + index));
    const tree = treeOf(...entries);
    const { sizeBytes } = planExt4(tree, { ...OPTIONS, size: { auto: true, reserveFraction: 0 } });
    await withScratch(async (scratch) => {
      const image = join(scratch, 'image');
      await writeImage(tree, image, { size: { exact: sizeBytes } });
      await checkImage(image);
    });
    expect(() => planExt4(tree, { ...OPTIONS, size: { exact: sizeBytes - 4096 } })).toThrow(
      expect.objectContaining({ code: 'STORE_FULL', message: expect.stringContaining(`${sizeBytes} bytes`) }) as Error,
    );
  });

  // a journal comes with 8 MiB and grows with 128 MiB: a size may hold less than a smaller one
  it.each([
    [0, 1.2, 1],
    [0, 4, 4],
    [0, 7.4, 8],
    [0, 7.9, 7.9],
    [0.1, 6, 8],
    [0.25, 6, 9],
    [0, 123.5, 126],
    [0.05, 118, 126],
    [0, 250, 200],
  ])('names a size that does, and no smaller one does: reserve %d, %d MiB in %d MiB', (reserveFraction, content, given) => {
    const tree = treeOf(file('f', emptySource(content * MiB), 0, content * MiB));
    const exactly = (exact: number) => planExt4(tree, { ...OPTIONS, size: { exact, reserveFraction } });
    const check = (named: number, step: number) => {
      expect(named).toBeGreaterThan(given * MiB);
      const { sizeBytes, freeBytes } = exactly(named);
      expect(freeBytes).toBeGreaterThanOrEqual(sizeBytes * reserveFraction);
      for (let less = named - step; less > given * MiB && less > named - 50 * step; less -= step) refusal(() => exactly(less));
    };
    const named = /need a file system of [^(]*\((\d+) bytes\)/.exec(refusal(() => exactly(given * MiB)))![1];
    check(Number(named), 4096);

    const size = { auto: true, reserveFraction, minimum: given * MiB + 1, step: MiB } as const;
    const whole = planExt4(tree, { ...OPTIONS, size }).sizeBytes;
    expect(whole % MiB).toBe(0);
    check(whole, MiB);
  }); // prettier-ignore

  it('leaves the reserve free, and the inodes', () => {
    const plan = planExt4(sampleTree(), {
      ...OPTIONS,
      size: { auto: true, reserveFraction: 0.25 },
      freeInodes: 5000,
    });
    expect(plan.freeBytes / plan.sizeBytes).toBeGreaterThanOrEqual(0.25);
    expect(plan.freeBytes / plan.sizeBytes).toBeLessThan(0.3);
    expect(plan.inodeCount - plan.usedInodes).toBeGreaterThanOrEqual(5000);
    const large = planExt4(sampleTree(), { ...OPTIONS, size: { auto: true, reserveFraction: 0, minimum: 100 * MiB } });
    expect(large.sizeBytes).toBe(100 * MiB);
  });
});

describe('an ext4 image', () => {
  it('is equal, byte for byte, on every run and in whatever order the sources come', async () => {
    await withScratch(async (scratch) => {
      await writeImage(sampleTree(), join(scratch, 'a'));
      const plan = planExt4(sampleTree(), OPTIONS);
      const memory = new Uint8Array(plan.sizeBytes);
      const target: RandomWriter = {
        write(position, bytes) {
          memory.set(bytes, position);
          return Promise.resolve();
        },
      };
      // all sources at the same time, last one first, metadata at the end
      await Promise.all(
        [...plan.sources()].reverse().map(async (source) => {
          const writer = plan.contentWriter(source, target);
          for await (const chunk of source.open()) await writer.write(chunk);
          await writer.end();
        }),
      );
      await plan.writeMetadata(target);
      expect(Buffer.compare(memory, await readFile(join(scratch, 'a')))).toBe(0);
    });
  });

  it('writes only inside the mapped ranges, and its last byte', async () => {
    const plan = planExt4(sampleTree(), { ...OPTIONS, size: { exact: 400 * MiB } });
    const outside: number[] = [];
    await writeExt4(plan, {
      write(position, bytes) {
        const inside = plan.mapped.some(({ start, end }) => start <= position && position + bytes.length <= end);
        if (!inside) outside.push(position);
        return Promise.resolve();
      },
    });
    expect(outside).toEqual([plan.sizeBytes - 1]);
    for (const [index, range] of plan.mapped.entries()) {
      expect(range.start).toBeLessThan(range.end);
      expect(range.start % 4096).toBe(0);
      if (index > 0) expect(range.start).toBeGreaterThan(plan.mapped[index - 1]!.end);
    }
  });

  it('says so when a source ends too early', async () => {
    const short = { ...choppedSource('s', noise(1000, 1)), size: 5000 };
    const plan = planExt4(treeOf(file('a', short, 500, 4000)), OPTIONS);
    const nowhere: RandomWriter = { write: () => Promise.resolve() };
    await expect(writeExt4(plan, nowhere)).rejects.toMatchObject({ code: 'CONTENT_TOO_SHORT' });
  });

  it('passes on that the disk is full', async () => {
    const source = choppedSource('s', noise(20 * MiB, 1));
    const plan = planExt4(treeOf(file('a', source, 0, 20 * MiB)), OPTIONS);
    const full: RandomWriter = { write: () => Promise.reject(new Error('ENOSPC')) };
    await expect(plan.writeMetadata(full)).rejects.toThrow('ENOSPC');
    const writer = plan.contentWriter(source, full);
    const feed = async () => {
      for await (const chunk of source.open()) await writer.write(chunk);
    };
    await expect(feed()).rejects.toThrow('ENOSPC');
    await expect(writer.end()).rejects.toThrow('ENOSPC');
  });
});

describe('a tree that ext4 cannot hold', () => {
  const source = choppedSource('s', noise(1000, 1));
  const long = 'n'.repeat(256);
  it.each<[string, string, TreeEntry[]]>([
    ['a parent that is missing', 'BAD_TREE', [file('a/b')]],
    ['a parent that comes late', 'BAD_TREE', [file('a/b'), directory('a')]],
    ['a parent that is a file', 'BAD_TREE', [file('a'), file('a/b')]],
    ['a path that comes twice', 'BAD_TREE', [file('a'), directory('a')]],
    ['a root that comes twice', 'BAD_TREE', [directory(''), directory('')]],
    ['a root that is a file', 'BAD_TREE', [file('')]],
    ['a lost+found that is a file', 'BAD_TREE', [file('lost+found')]],
    ['a path with ..', 'BAD_TREE', [directory('a'), file('a/..')]],
    ['a path with an empty part', 'BAD_TREE', [directory('a'), file('a/')]],
    ['an absolute path', 'BAD_TREE', [file('/a')]],
    ['a path with a zero byte', 'BAD_TREE', [file('a\0')]],
    ['a path that is not bytes', 'BAD_TREE', [file('\u65e5')]],
    ['a name that is too long', 'NAME_TOO_LONG', [file(long)]],
    ['a hard link to nowhere', 'BAD_TREE', [other('hardlink', 'a', { link: 'b' }), file('b')]],
    ['a hard link to a directory', 'BAD_TREE', [directory('a'), other('hardlink', 'b', { link: 'a' })]],
    ['a symlink without a target', 'BAD_TREE', [other('symlink', 'a', { link: '' })]],
    ['a symlink that is too long', 'SYMLINK_TOO_LONG', [other('symlink', 'a', { link: 'x'.repeat(4096) })]],
    ['a file without its bytes', 'BAD_TREE', [{ ...file('a'), size: 5 }]],
    ['a file beyond the end of its source', 'BAD_TREE', [file('a', source, 990, 11)]],
    ['segments that overlap', 'BAD_TREE', [sparse(0, 100, 50)]],
    ['a segment beyond the end of the file', 'BAD_TREE', [sparse(0, 100, 450)]],
    ['a device number that is too large', 'BAD_TREE', [other('blockDevice', 'a', { major: 4096, minor: 0 })]],
    ['an owner beyond 32 bits', 'BAD_TREE', [{ ...file('a'), uid: 2 ** 32 }]],
    ['a file beyond 16 TiB', 'BAD_TREE', [{ ...file('a'), size: 2 ** 44, content: { source, segments: [] } }]],
    ['an attribute of no namespace', 'BAD_XATTR', [withXattrs(['selinux', 5])]],
    ['an attribute without a name', 'BAD_XATTR', [withXattrs(['user.', 5])]],
    ['an attribute that comes twice', 'BAD_XATTR', [withXattrs(['user.a', 5], ['user.a', 6])]],
    ['an ACL that is none', 'BAD_XATTR', [withXattrs(['system.posix_acl_access', 7])]],
    ['attributes that are too large', 'XATTR_TOO_LARGE', [withXattrs(['user.a', 2500], ['user.b', 2500])]],
  ])('is refused: %s', (_name, code, entries) => {
    expect(() => planExt4(treeOf(...entries), OPTIONS)).toThrow(expect.objectContaining({ code }) as Error);
    expect(() => planExt4(treeOf(...entries), OPTIONS)).toThrow(UserError);
  });

  it('is refused: 65,001 links to one file', () => {
    const tree = (links: number): Tree => ({
      *entries() {
        yield file('a');
        for (let index = 1; index < links; index++) yield other('hardlink', `l${index}`, { link: 'a' });
      },
    });
    expect(() => planExt4(tree(65_001), OPTIONS)).toThrow(expect.objectContaining({ code: 'TOO_MANY_LINKS' }) as Error);
    expect(planExt4(tree(65_000), OPTIONS).usedInodes).toBe(12);
  });

  it.each([
    { uuid: 'x' },
    { label: 'a label of 17 b..' },
    { epoch: -1 },
    { size: { auto: true, reserveFraction: 1 } as const },
    { size: { exact: NaN } },
    { growthFactor: 0 },
    { journal: { size: 4096 } },
  ])('options are refused: %o', (options) => {
    expect(() => planExt4(treeOf(), { ...OPTIONS, ...options })).toThrow(
      expect.objectContaining({ code: 'BAD_EXT4_OPTION' }) as Error,
    );
  });

  function sparse(first: number, length: number, second: number): TreeEntry {
    const segments = [
      { position: first, offset: 0, length },
      { position: second, offset: length, length },
    ];
    return { ...file('a'), size: 500, content: { source, segments } };
  }

  function withXattrs(...xattrs: [string, number][]): TreeEntry {
    return { ...file('a'), xattrs: xattrs.map(([name, size]) => ({ name, value: new Uint8Array(size) })) };
  }
});
