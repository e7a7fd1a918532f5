import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readKernelConfigFile } from './kernel-config-file.ts';

const HEADER = '#\n# Automatically generated file; DO NOT EDIT.\n# Linux/arm64 6.6.52 Kernel Configuration\n#\n';
const END = '# end of Kernel hacking\n';
const WHOLE = `${HEADER}CONFIG_NAMESPACES=y\n# CONFIG_VETH is not set\n${END}`;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-kernel-config-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function read(content: string | Uint8Array) {
  const path = join(folder, 'file');
  await writeFile(path, content);
  return readKernelConfigFile(path);
}

/** As kernel/configs.c lays it into a kernel. */
const image = (config: string) =>
  Buffer.concat([
    Buffer.from([0, 1, 2, 0x1f, 0x8b, 0x08, 0xff, 9, 9]), // looks like gzip and is none
    Buffer.from('IKCFG_ST'),
    gzipSync(config),
    Buffer.from('IKCFG_ED'),
    Buffer.alloc(5000, 0x5a),
  ]);

describe('a kernel configuration', () => {
  const known = { options: { NAMESPACES: 'y', VETH: 'n' }, version: '6.6.52', architecture: 'arm64' };

  it.each([
    ['a .config', WHOLE],
    ['a copy of /proc/config.gz', gzipSync(WHOLE)],
    ['a kernel image with CONFIG_IKCONFIG', image(WHOLE)],
    ['a compressed one (Image.gz)', gzipSync(image(WHOLE))],
    [
      'one that unpacks itself (zImage)',
      Buffer.concat([Buffer.alloc(900), gzipSync(image(WHOLE)), Buffer.alloc(900, 7)]),
    ],
  ])('is read from %s', async (_name, content) => {
    expect(await read(content)).toEqual(known);
  });

  it.each([
    ['a text that stops in the middle', WHOLE.slice(0, -30), 'KERNEL_CONFIG_TRUNCATED'],
    ['a text that stops at the end of a line', WHOLE.slice(0, -END.length), 'KERNEL_CONFIG_TRUNCATED'],
    [
      'an old one that stops in the middle',
      WHOLE.replace('6.6.52', '4.19.2').replace(END, 'CONFIG_SE'),
      'KERNEL_CONFIG_TRUNCATED',
    ],
    ['half a config.gz', gzipSync(WHOLE.repeat(50)).subarray(0, 90), 'KERNEL_CONFIG_TRUNCATED'],
    ['a defconfig', 'CONFIG_NAMESPACES=y\nCONFIG_CGROUPS=y\n', 'NOT_A_KERNEL_CONFIG'],
    ['another text', 'hello\n', 'NOT_A_KERNEL_CONFIG'],
    ['an empty file', '', 'NOT_A_KERNEL_CONFIG'],
    ['a kernel without IKCONFIG', Buffer.alloc(10_000, 0), 'NO_IKCONFIG'],
    ['another gzip file', gzipSync(Buffer.alloc(10_000, 0)), 'NO_IKCONFIG'],
  ])('is not taken from %s', async (_name, content, code) => {
    const error = await read(content).then(
      () => undefined,
      (error: { problems: readonly { code: string; hint?: string }[] }) => error,
    );
    expect(error?.problems.map((problem) => problem.code)).toEqual([code]);
    expect(error?.problems[0]?.hint).toMatch(/\w/);
  });

  it('must be there', async () => {
    await expect(readKernelConfigFile(join(folder, 'nowhere'))).rejects.toThrow('there is no file');
    await expect(readKernelConfigFile(folder)).rejects.toThrow('there is no file');
  });
});
