import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withScratch } from '@boxship/host';
import { describe, expect, it } from 'vitest';
import { imageOf } from './boot.ts';

const release = (folder: string, ...names: readonly string[]) =>
  writeFile(join(folder, 'release.json'), JSON.stringify({ files: names.map((name) => ({ name })) }));

describe('the image that boot takes of a folder', () => {
  it.each(['a.img', 'a.img.zst'])('is %s, whatever else was made of it', async (image) => {
    await withScratch(async (folder) => {
      await release(folder, 'a.rootfs.tar.gz', 'a.swu', image, `${image.replace(/\.zst$/, '')}.bmap`);
      expect(await imageOf(folder)).toBe(join(folder, image));
    });
  });

  it('is missing where none was made, or nothing at all', async () => {
    await withScratch(async (folder) => {
      await expect(imageOf(folder)).rejects.toThrow(/is not the folder of a release/);
      await release(folder, 'a.swu');
      await expect(imageOf(folder)).rejects.toThrow(/has no disk image, only a\.swu/);
      await expect(imageOf(join(folder, 'b'))).rejects.toThrow(/there is no .*\/b/);
    });
  });
});
