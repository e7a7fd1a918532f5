import { chmod, mkdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';
import { gzipSync } from 'node:zlib';
import { readFile } from 'node:fs/promises';
import { builtProgram, environmentOf, fearProduct, filesBelow, type FearProduct } from './fear-product.ts';

const CODES = Array.from({ length: 256 }, (_, code) => code);
const isRoot = process.getuid?.() === 0;
if (!isRoot && process.env['CI'] === 'true') throw new Error('read-only mounts need root');

let program = '';
let product: FearProduct;
beforeAll(async () => {
  program = await builtProgram();
  product = await fearProduct({ yaml: (text) => text.replace('vendor.img', 'vendor.img.gz') });
  await product.write('vendor.img.gz', gzipSync(await readFile(product.path('vendor.img')), { level: 1 }));
});
afterAll(() => product[Symbol.asyncDispose]());

/** Runs boxship in a mount namespace of its own, after these commands of sh. */
async function inNamespace(mounts: string, args: readonly string[]) {
  const script = `set -e; ${mounts}; shift; exec "$@"`;
  const command = ['sh', '-c', script, 'sh', product.folder, process.execPath, program, '-f', product.file, ...args];
  const env = environmentOf(product);
  const { code, stdout, stderr } = await runProgram('unshare', ['-m', ...command], { env, accept: CODES });
  return { code, stdout: stdout.toString(), stderr };
}
const readOnly = (folder: string) =>
  `mount --bind "$1/${folder}" "$1/${folder}"; mount -o remount,ro,bind "$1/${folder}"`;

describe.runIf(isRoot)('what cannot be written', () => {
  beforeAll(async () => {
    const { code, stderr } = await inNamespace('true', ['lock']);
    expect(stderr).not.toMatch(/error/);
    expect(code).toBe(0);
  });

  it('the cache after lock: plan and compose work, a second time too', async () => {
    const before = await filesBelow(product.cache.root);
    for (const args of [['plan'], ['compose'], ['compose']]) {
      const { code, stderr } = await inNamespace(readOnly('cache'), args);
      expect(stderr).not.toMatch(/error/);
      expect(code).toBe(0);
    }
    expect(await filesBelow(product.cache.root)).toEqual(before);
    expect(Object.keys(await product.outputs())).toHaveLength(8);
  });

  it('the cache before lock: lock says so', async () => {
    await mkdir(product.path('empty'), { recursive: true });
    const args = ['--cache', product.path('empty'), 'lock'];
    const { code, stderr } = await inNamespace(readOnly('empty'), args);
    expect(stderr).toMatch(/error: .*\/empty\/.*read-only/);
    expect(stderr).toMatch(/hint: /);
    expect(code).toBe(1);
  });

  it('the output folder: compose says so, with the folder', async () => {
    await mkdir(product.path('out'), { recursive: true });
    const { code, stderr } = await inNamespace(readOnly('out'), ['compose', '--out', product.path('out')]);
    expect(stderr).toMatch(/error: .*\/out\/acme-1\.0\.0.*: the file system is read-only\n {2}hint: /);
    expect(code).toBe(1);
  });

  it('the output folder of another user: compose says so', async () => {
    await chmod(product.folder, 0o755);
    await chmod(product.path('release.key'), 0o644);
    await mkdir(product.path('foreign'), { recursive: true });
    const drop = 'shift; set -- x setpriv --reuid 65534 --regid 65534 --clear-groups "$@"';
    const { code, stderr } = await inNamespace(drop, ['compose', '--out', product.path('foreign')]);
    expect(stderr).toMatch(/error: .*\/foreign\/acme-1\.0\.0.*: no permission\n {2}hint: /);
    expect(code).toBe(1);
  });

  it('the folder of boxship.lock: lock says so', async () => {
    const { code, stderr } = await inNamespace(`${readOnly('.')}; mount -t tmpfs x "$1/cache"`, ['lock']);
    expect(stderr).toMatch(/error: .*boxship\.lock.*read-only/);
    expect(code).toBe(1);
  });
});

describe.runIf(isRoot)('a program that is missing', () => {
  it('debugfs: lock, plan and compose name its package', async () => {
    const hide = 'for d in /usr/sbin /sbin /usr/local/sbin; do [ -L $d ] || mount -t tmpfs x $d; done';
    for (const args of [['lock'], ['plan'], ['compose']]) {
      const { code, stderr } = await inNamespace(hide, args);
      expect(stderr).toMatch(/error: the program "debugfs" is not installed\n {2}hint: .*apt-get install e2fsprogs/);
      expect(code).toBe(1);
    }
  });
});
