import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockPath, readLock, writeLock } from './lock-file.ts';
import { TEST_LOCK } from './test-product.ts';

let folder = '';
let product = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-lock-'));
  product = join(folder, 'boxship.yaml');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const write = (change: (text: string) => string) =>
  writeFile(lockPath(product), change(`${JSON.stringify(TEST_LOCK, null, 2)}\n`));

describe('boxship.lock', () => {
  it('lies beside the product file, is read as it was written, and in the same bytes each time', async () => {
    await writeLock(product, TEST_LOCK);
    expect(await readdir(folder)).toEqual(['boxship.lock']); // nothing half-written beside it
    const bytes = await readFile(lockPath(product));
    expect(await readLock(product)).toEqual(TEST_LOCK);
    await writeLock(product, await readLock(product));
    expect((await readFile(lockPath(product))).equals(bytes)).toBe(true);
    expect(bytes.toString().endsWith('}\n')).toBe(true);
  });

  it.each<[string, (text: string) => string, string, string]>([
    ['an empty file', () => '', 'BAD_LOCK', 'is not JSON'],
    ['what a merge leaves', (text) => text.replace('"epoch"', '<<<<<<< ours\n"epoch"'), 'BAD_LOCK', 'is not JSON'],
    ['another version', (text) => text.replace('"lockVersion": 1', '"lockVersion": 7'), 'BAD_LOCK', '/lockVersion'],
    ['a digest of another kind', (text) => text.replace('"sha256:1', '"sha512:1'), 'BAD_LOCK', '/bases/gate/digest'],
    ['upper-case digits', (text) => text.replace(/sha256:a+/, (all) => all.toUpperCase()), 'BAD_LOCK', '/digest'],
    ['a size below nothing', (text) => text.replace('"size": 500', '"size": -500'), 'BAD_LOCK', '/size'],
    ['a key that is missing', (text) => text.replace(/"platform": "linux\/amd64",\n/, ''), 'BAD_LOCK', 'platform'],
    ['a key that nobody knows', (text) => text.replace('"tools": {', '"tols": {}, "tools": {'), 'BAD_LOCK', 'additional'],
    ['one image for one platform twice', (text) => text.replaceAll('linux/arm64', 'linux/amd64'), 'BAD_LOCK', 'docker.io/library/nginx:1 for linux/amd64 twice'],
  ])('with %s is refused, and says how to make another', async (_name, change, code, message) => {
    await write(change);
    const error = await readLock(product).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code, problems: [{ hint: 'Run: boxship lock', where: { file: lockPath(product) } }] });
    expect((error as Error).message).toContain(message);
  }); // prettier-ignore

  it('that is not there is told', async () => {
    await expect(readLock(product)).rejects.toMatchObject({ code: 'NO_LOCK' });
  });
});
