import { existsSync, lstatSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openFileReader, runProgram, withScratch } from '@boxship/host';
import type { Tree } from '@boxship/model';
import { describe, expect, it } from 'vitest';
import { checkImage, kernelMissing, listTree, withMount, writeImage } from './testing/image.ts';
import { paxArchive } from './testing/pax-archive.ts';
import { choppedSource, directory, file, noise, sampleTree, treeOf } from './testing/sample-tree.ts';

const missing = kernelMissing();
const title = missing ? `the kernel (skipped: ${missing})` : 'the kernel';

/** What GNU tar makes of the tree on a file system of mke2fs. */
async function extracted(tree: Tree, scratch: string): Promise<string[]> {
  const archive = join(scratch, 'tree.tar');
  const image = join(scratch, 'reference.img');
  await writeFile(archive, await paxArchive(tree));
  await writeFile(image, '');
  await truncate(image, 300 * 2 ** 20);
  await runProgram('mke2fs', ['-q', '-t', 'ext4', '-b', '4096', '-I', '256', '-F', image]);
  return await withMount(image, 'user_xattr', async (folder) => {
    const options = ['-x', '-p', '--xattrs', '--xattrs-include=*', '--numeric-owner', '--delay-directory-restore'];
    await runProgram('tar', [...options, '-f', archive], { cwd: folder });
    return await listTree(folder);
  });
}

describe.skipIf(missing !== undefined)(title, () => {
  it('lists every path with the attributes and bytes that tar extracts', async () => {
    await withScratch(async (scratch) => {
      const tree = sampleTree();
      const image = join(scratch, 'image');
      await writeImage(tree, image);
      await checkImage(image);
      const expected = await extracted(tree, scratch);
      await withMount(image, 'ro', async (folder) => {
        const root = /^\|d\|/;
        const socket = /^dev\/socket\|/;
        // the archive has no root directory and tar no sockets; both are checked by themselves
        const found = (await listTree(folder)).filter((line) => !socket.test(line) && !root.test(line));
        expect(found).toEqual(expected.filter((line) => !root.test(line)));
        const rootStat = lstatSync(folder, { bigint: true });
        expect([rootStat.mode & 0o7777n, rootStat.uid, rootStat.mtimeNs]).toEqual([0o751n, 3n, 5_000_000_007n]);
        const socketStat = lstatSync(join(folder, 'dev/socket'));
        expect(socketStat.isSocket()).toBe(true);
        expect([socketStat.mode & 0o7777, socketStat.gid]).toEqual([0o700, 70_000]);
      });
    });
  });

  it('reads times before 1970 with their nanoseconds', async () => {
    await withScratch(async (scratch) => {
      // by itself: GNU tar takes such fractions for positive ones
      const image = join(scratch, 'image');
      const old = { ...file('old'), mtime: -(2 ** 31), mtimeNanoseconds: 1 };
      const late = { ...file('late'), mtime: -1, mtimeNanoseconds: 999_999_999 };
      await writeImage(treeOf(old, late), image);
      await withMount(image, 'ro', async (folder) => {
        const { stdout } = await runProgram('stat', ['-c', '%.9Y', join(folder, 'old'), join(folder, 'late')]);
        expect(stdout.toString()).toBe('-2147483647.999999999\n-0.000000001\n');
      });
    });
  });

  it('finds 100,000 names of one directory, and adds and removes some', async () => {
    const count = 100_000;
    const name = (index: number) => `${'x'.repeat(index % 60)}-file-${index}`;
    const tree: Tree = {
      *entries() {
        yield directory('many');
        for (let index = 0; index < count; index++) yield file(`many/${name(index)}`);
      },
    };
    await withScratch(async (scratch) => {
      const image = join(scratch, 'image');
      await writeImage(tree, image);
      await checkImage(image);
      await withMount(image, 'rw', async (folder) => {
        const many = join(folder, 'many');
        expect(readdirSync(many).length).toBe(count);
        let found = 0;
        for (let index = 0; index < count; index++) if (existsSync(join(many, name(index)))) found++;
        expect(found).toBe(count);
        expect(existsSync(join(many, 'not there'))).toBe(false);
        for (let index = 0; index < 3000; index++) writeFileSync(join(many, `new-${index}`), '');
        for (let index = 0; index < 3000; index++) rmSync(join(many, name(index * 7)));
        expect(readdirSync(many).length).toBe(count);
      });
      await checkImage(image);
    });
  });

  it('reads a file of 5 GB with thousands of holes', async () => {
    const bytes = noise(20_000, 5);
    const segments = Array.from({ length: 4000 }, (_, at) => ({ position: at * 1_250_000, offset: at * 5, length: 5 }));
    const content = { source: choppedSource('s', bytes, 1000), segments };
    await withScratch(async (scratch) => {
      const image = join(scratch, 'image');
      await writeImage(treeOf({ ...file('big'), size: 5_000_000_001, content }), image);
      await checkImage(image);
      await withMount(image, 'ro', async (folder) => {
        const reader = await openFileReader(join(folder, 'big'));
        expect(reader.size).toBe(5_000_000_001);
        for (const { position, offset, length } of segments) {
          const start = Math.max(0, position - 3);
          const expected = new Uint8Array(position - start + length + 3);
          expected.set(bytes.subarray(offset, offset + length), position - start);
          expect(Buffer.compare(await reader.read(start, expected.length), expected)).toBe(0);
        }
        expect(Buffer.compare(await reader.read(5_000_000_001 - 9, 9), new Uint8Array(9))).toBe(0);
        await reader.close();
      });
    });
  });

  it('works on a file system whose unmapped parts hold garbage', async () => {
    const source = choppedSource('s', noise(5_000_000, 4));
    const entries = Array.from({ length: 200 }, (_, index) => file(`f${index}`, source, index * 20_000, 20_000));
    await withScratch(async (scratch) => {
      const image = join(scratch, 'image');
      const plan = await writeImage(
        treeOf(...entries),
        image,
        { size: { exact: 400 * 2 ** 20 } },
        async (plan, target) => {
          const garbage = new Uint8Array(2 ** 20).fill(0xff);
          let at = 0;
          for (const { start, end } of [...plan.mapped, { start: plan.sizeBytes, end: plan.sizeBytes }]) {
            for (; at < start; at += garbage.length) {
              await target.write(at, garbage.subarray(0, Math.min(garbage.length, start - at)));
            }
            at = end;
          }
        },
      );
      expect(plan.mapped.length).toBeGreaterThan(2);
      await checkImage(image);
      await withMount(image, 'rw', async (folder) => {
        expect(statSync(join(folder, 'f199')).size).toBe(20_000);
        // directories at the top are spread over all groups: this uses inode tables that were never written
        for (let index = 0; index < 40; index++) {
          mkdirSync(join(folder, `new${index}`));
          for (let inner = 0; inner < 50; inner++)
            writeFileSync(join(folder, `new${index}`, `${inner}`), 'x'.repeat(5000));
        }
        writeFileSync(join(folder, 'large'), noise(60_000_000, 1));
      });
      await checkImage(image);
      // takes the reserved descriptor blocks into use, which held garbage in all groups but the first
      await truncate(image, plan.sizeBytes * 64);
      await runProgram('e2fsck', ['-fp', image]); // resize2fs wants one after a mount
      await runProgram('resize2fs', [image]);
      await checkImage(image);
    });
  });

  it('grows online, 64-fold', async ({ skip }) => {
    const source = choppedSource('s', noise(1_000_000, 4));
    await withScratch(async (scratch) => {
      const image = join(scratch, 'image');
      const plan = await writeImage(treeOf(file('a', source, 0, 1_000_000)), image, { size: { exact: 40 * 2 ** 20 } });
      await truncate(image, plan.sizeBytes * 64);
      const folder = join(scratch, 'mount');
      await mkdir(folder);
      await runProgram('mount', ['-o', 'loop', image, folder]);
      try {
        const device = (await runProgram('findmnt', ['-n', '-o', 'SOURCE', folder])).stdout.toString().trim();
        const { code, stderr } = await runProgram('resize2fs', [device], { accept: [0, 1] });
        if (stderr.includes('Permission denied')) skip('no CAP_SYS_RESOURCE here');
        expect(stderr.split('\n').slice(1).join('')).toBe('');
        expect(code).toBe(0);
        writeFileSync(join(folder, 'b'), 'after');
      } finally {
        await runProgram('umount', [folder]);
      }
      await checkImage(image);
      const { stdout } = await runProgram('dumpe2fs', ['-h', image]);
      expect(stdout.toString()).toContain(`Block count:              ${(plan.sizeBytes / 4096) * 64}\n`);
    });
  });
});
