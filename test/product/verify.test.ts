import { copyFile, mkdtemp, readFile, readdir, rm, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import { afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { fetchDebianPackage } from '../../tools/setup/debian-tools.mjs';
import { flipBit } from './partition-file.ts';
import { boxship, readSampleRelease, type SampleRelease } from './sample-product.ts';

const product = inject('product');
const scratch = inject('scratch');
let made: SampleRelease;
let copies: string[] = [];

beforeAll(async () => {
  made = await readSampleRelease(product.folder, 'pro');
});
afterEach(async () => {
  for (const folder of copies) await rm(folder, { recursive: true, force: true });
  copies = [];
});

/** A copy of the release that a test may damage. */
async function copyRelease(): Promise<{ folder: string; image: string }> {
  const folder = await mkdtemp(join(scratch, 'release-'));
  copies.push(folder);
  await runProgram('cp', ['-a', '--sparse=always', '--reflink=auto', `${made.folder}/.`, folder]);
  return { folder, image: join(folder, made.image.slice(made.folder.length + 1)) };
}

async function verify(path: string, key = product.publicKey) {
  const { code, stdout } = await runProgram(
    process.execPath,
    [product.program, '--json', 'verify', path, '--key', key],
    {
      accept: [0, 1, 3],
    },
  );
  return { code, said: stdout.toString() };
}

describe('boxship verify', () => {
  it('accepts what was composed', async () => {
    expect(await verify(made.folder)).toMatchObject({ code: 0 });
    expect(await verify(made.image)).toMatchObject({ code: 0 });
  });

  it('names the byte range of a flipped byte', async () => {
    const { folder, image } = await copyRelease();
    const { start } = made.partition('store');
    const at = start + 5 * 4096; // beyond the superblock: mapped
    await flipBit(image, at);
    const { code, said } = await verify(folder);
    expect(code).toBe(3);
    const [, from, to] = /bytes (\d+)\.\.(\d+) of/.exec(said) ?? [];
    expect(Number(from), said).toBeLessThanOrEqual(at);
    expect(Number(to), said).toBeGreaterThan(at);
    expect(Number(to) - Number(from), said).toBeLessThanOrEqual(16 << 20);
  });

  it('names a file that is missing, cut off, or not part of the release', async () => {
    const { folder, image } = await copyRelease();
    await unlink(`${image}.bmap.sigstore.json`);
    await writeFile(join(folder, 'stranger.img'), 'who am I?');
    const first = await verify(folder);
    expect(first).toMatchObject({ code: 3, said: expect.stringContaining('.img.bmap.sigstore.json') as string });
    expect(first.said).toContain('stranger.img');

    await runProgram('truncate', ['-s', '-512', image]);
    expect(await verify(image)).toMatchObject({ code: 3, said: expect.stringContaining('WRONG_SIZE') as string });
    await unlink(image);
    expect(await verify(folder)).toMatchObject({ code: 3, said: expect.stringContaining('MISSING_FILE') as string });
  });

  it('believes nothing of a release.json that somebody edited', async () => {
    const { folder } = await copyRelease();
    const file = join(folder, 'release.json');
    await writeFile(file, (await readFile(file, 'utf8')).replace('"development": true', '"development": false'));
    const { code, said } = await verify(folder);
    expect(code).toBe(3);
    expect(said).toContain('release.json.sig');
    expect(said).not.toContain('"files"');
  });

  it('refuses another key', async () => {
    await boxship(
      { program: product.program, folder: scratch },
      'keygen',
      '--output-key-prefix',
      join(scratch, 'other'),
    );
    expect(await verify(made.folder, join(scratch, 'other.pub'))).toMatchObject({ code: 3 });
  });
});

// What each release needs to know of a bundle that was made with a key alone, without a transparency log.
describe.each([
  { suite: 'trixie', bundle: ['--new-bundle-format', '--trusted-root', 'empty-root.json'] },
  { suite: 'sid', bundle: [] },
])('the real cosign of $suite', ({ suite, bundle }) => {
  it('verifies every artifact, both ways, and refuses a changed one', async () => {
    const { folder: root } = await fetchDebianPackage({ suite, package: 'cosign' });
    await writeFile(
      join(scratch, 'empty-root.json'),
      '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}',
    );
    const cosign = async (file: string, how: readonly string[]) => {
      const args = ['verify-blob', '--key', product.publicKey, '--insecure-ignore-tlog', ...how, file];
      const env = { HOME: scratch };
      return await runProgram(join(root, 'usr/bin/cosign'), args, { cwd: scratch, env, accept: [0, 1] });
    };
    const withBundle = (file: string) => [...bundle, '--bundle', `${file}.sigstore.json`];
    const names = (await readdir(made.folder)).filter((name) => !/\.(sig|sigstore\.json)$/.test(name));
    expect(names.sort()).toEqual([...made.release.files.map(({ name }) => name), 'release.json'].sort());
    for (const name of names) {
      const file = join(made.folder, name);
      // a raw signature of a block map would be taken for OpenPGP by bmaptool
      const ways = [withBundle(file), ...(name.endsWith('.bmap') ? [] : [['--signature', `${file}.sig`]])];
      for (const way of ways) {
        const { code, stderr } = await cosign(file, way);
        expect(code, `${name} ${way.join(' ')}: ${stderr}`).toBe(0);
      }
    }
    const changed = join(scratch, 'release.json');
    await copyFile(join(made.folder, 'release.json'), changed);
    await flipBit(changed, 100);
    const { code, stderr } = await cosign(changed, withBundle(join(made.folder, 'release.json')));
    expect(code).toBe(1);
    expect(stderr).toMatch(/signature|digest/);
  });
});

describe('bmaptool', () => {
  it('accepts the block map and copies every byte', async () => {
    const copy = join(scratch, 'copied.img');
    copies.push(copy);
    await runProgram('bmaptool', ['copy', '--bmap', `${made.image}.bmap`, made.image, copy]);
    const { code } = await runProgram('cmp', [made.image, copy], { accept: [0, 1] });
    expect(code).toBe(0);
  });
});
