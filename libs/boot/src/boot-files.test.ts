import { existsSync } from 'node:fs';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { programPath, runProgram, withScratch } from '@boxship/host';
import { describe, expect, it } from 'vitest';
import { readBootFiles } from './boot-files.ts';

/** A disk with a FAT boot partition that mkfs.vfat and mtools have made. */
async function makeDisk(folder: string, label: 'gpt' | 'dos', entry?: string): Promise<string> {
  const disk = join(folder, 'disk.img');
  await writeFile(disk, '');
  await truncate(disk, 8 << 20);
  const table = `label: ${label}\nstart=2048, size=4096, type=L\nstart=6144, size=8192, type=${label === 'gpt' ? 'U' : 'c'}\n`;
  await runProgram('sfdisk', ['--quiet', disk], { input: table });
  await runProgram('mkfs.vfat', ['-F', '12', '--offset', '6144', disk, '4096']);
  const fat = `${disk}@@${6144 * 512}`;
  if (entry !== undefined) {
    await runProgram('mmd', ['-i', fat, '::/loader', '::/loader/entries', '::/vendor']);
    for (const [name, text] of [
      ['loader/entries/a.conf', entry],
      ['vendor/linux', 'a kernel'],
      ['vendor/initrd', 'an initramfs'],
    ] as const) {
      // prettier-ignore
      await writeFile(join(folder, 'file'), text);
      await runProgram('mcopy', ['-i', fat, join(folder, 'file'), `::/${name}`]);
    }
  }
  return disk;
}

const lacking = ['sfdisk', 'mkfs.vfat', 'mcopy'].filter(
  (program) =>
    !programPath()
      .split(':')
      .some((folder) => existsSync(join(folder, program))),
);
if (lacking.length > 0 && process.env['CI'] === 'true') throw new Error(`missing: ${lacking.join(', ')}`);

describe.skipIf(lacking.length > 0)(
  `readBootFiles${lacking.length > 0 ? ` (missing: ${lacking.join(', ')})` : ''}`,
  () => {
    it.each(['gpt', 'dos'] as const)('finds kernel, initramfs and command line on a %s disk', async (label) => {
      await withScratch(async (folder) => {
        const entry =
          'title Vendor\nlinux /vendor/linux\ninitrd /vendor/initrd\noptions root=LABEL=rootfs  ro\noptions quiet\n';
        const disk = await makeDisk(folder, label, entry);
        const before = await readFile(disk);
        const files = await readBootFiles(disk, folder);
        expect(await readFile(files.kernel, 'utf8')).toBe('a kernel');
        expect(await readFile(files.initrd!, 'utf8')).toBe('an initramfs');
        expect(files.commandLine).toBe('root=LABEL=rootfs  ro quiet');
        expect(before.equals(await readFile(disk))).toBe(true);
      });
    });

    it('says what is missing when there is no loader entry', async () => {
      await withScratch(async (folder) => {
        const disk = await makeDisk(folder, 'gpt');
        await expect(readBootFiles(disk, folder)).rejects.toMatchObject({ code: 'NO_BOOT_FILES' });
      });
    });
  },
);
