import { open, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import { describe, expect, it } from 'vitest';
import { dryRun } from '../lab/uuu.mjs';
import type { ComposedVariant } from '@boxship/compose';
import { fearProduct, refusal } from './fear-product.ts';

const NAME = 'acme-1.0.0-tiny-basic';
/** Bytes from 64 KiB to 96 KiB of the base image: the tiny base's boot loader. */
const BOOT_START = 64 * 1024;

describe('a folder for uuu', () => {
  it('is taken by uuu; it holds the boot loader of the base and the image of the disk', async () => {
    await using product = await fearProduct({ yaml: (text) => `${text}artifacts: [raw, uuu]\n` });
    await product.lock();
    const [{ folder, release }] = (await product.compose()) as readonly [Awaited<ReturnType<typeof product.compose>>[0]];
    expect(release.files.map(({ name }) => name)).toEqual([`${NAME}.img`, `${NAME}.img.bmap`, 'uuu.auto', `${NAME}.boot.bin`, `${NAME}.simg`]);

    const { accepted, lines } = await dryRun(folder);
    expect(accepted, lines.join('\n')).toBe(true);
    expect(lines.filter((line) => line.startsWith('FB:'))).toEqual([
      'FB: ucmd setenv fastboot_dev mmc',
      'FB: ucmd setenv mmcdev ${emmc_dev}',
      'FB: ucmd mmc dev ${emmc_dev}',
      `FB: flash all ${NAME}.simg`,
      `FB: flash -scanterm -scanlimited 0x800000 bootloader ${NAME}.boot.bin`,
      'FB: ucmd if env exists emmc_ack; then ; else setenv emmc_ack 0; fi;',
      'FB: ucmd mmc partconf ${emmc_dev} ${emmc_ack} 1 0',
      'FB: done',
    ]);
    for (const protocol of ['SDP', 'SDPS', 'SDPU', 'SDPV']) {
      expect(lines.some((line) => line.startsWith(`${protocol}:`)), protocol).toBe(true);
    }
    const vendor = await readFile(product.path('vendor.img'));
    const boot = await readFile(join(folder, `${NAME}.boot.bin`));
    expect(boot.equals(vendor.subarray(BOOT_START, BOOT_START + 32768))).toBe(true);
    await runProgram('simg2img', [join(folder, `${NAME}.simg`), product.path('unfolded.img')]);
    expect((await readFile(product.path('unfolded.img'))).equals(await readFile(join(folder, `${NAME}.img`)))).toBe(true);

    // the oracle does say no
    await writeFile(product.path('uuu.auto'), 'uuu_version 1.4.149\nFB: flash all\nSDP: boot -g x\n');
    expect((await dryRun(product.path('uuu.auto'))).accepted).toBe(false);
  });

  it('for a card has no boot partition', async () => {
    await using product = await fearProduct({ yaml: (text) => `${text}artifacts: [uuu: { device: sd }]\n` });
    await product.lock();
    const [{ folder }] = (await product.compose()) as readonly [ComposedVariant];
    expect((await readdir(folder)).filter((name) => name.endsWith('.img'))).toEqual([]);
    const { accepted, lines } = await dryRun(folder);
    expect(accepted, lines.join('\n')).toBe(true);
    expect(lines).toContain('FB: ucmd setenv mmcdev ${sd_dev}');
    expect(lines.join('\n')).not.toMatch(/partconf|bootloader/);
  });

  it('of a base without a boot loader is refused before anything is written', async () => {
    await using product = await fearProduct({ yaml: (text) => `${text}artifacts: [uuu]\n` });
    const disk = await open(product.path('vendor.img'), 'r+');
    await disk.write(Buffer.alloc(32768), 0, 32768, BOOT_START);
    await disk.close();
    await product.lock();
    const error = await refusal(product.compose());
    expect(error.code).toBe('UUU_NO_BOOT_LOADER');
    expect(error.message).toContain('between the partition table and the first partition of the base image (17.0 KiB to 1.0 MiB)');
    expect(await product.outputs()).toEqual({});
  });
}); // prettier-ignore
