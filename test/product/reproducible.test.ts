import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { nodeProgram } from '../lab/node-versions.mjs';
import { fetchDebianPackage } from '../../tools/setup/debian-tools.mjs';
import { digestsOf, moveSample, PASSWORD, readSampleRelease, type SampleProduct } from './sample-product.ts';

// Promise 2: equal variants make equal artifacts, bit for bit, on any machine and Node version, in any folder, at any time.

const product = inject('product');
const versions = await Promise.all([20, 22, 24].map(async (major) => ({ major, program: await nodeProgram(major) })));
let folder = '';
let elsewhere: SampleProduct;
let expected: Record<string, string>;

beforeAll(async () => {
  folder = await mkdtemp(join(inject('scratch'), 'reproducible-'));
  expected = await digestsOf((await readSampleRelease(product.folder, 'pro')).folder);
  elsewhere = await moveSample(product, join(folder, 'größe mit Leerzeichen'));
  await elsewhereRun(process.execPath, ['lock'], {});
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function elsewhereRun(
  node: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  umask = '022',
) {
  const script = 'umask "$1"; shift; exec "$@"';
  return await runProgram('sh', ['-c', script, 'sh', umask, node, elsewhere.program, ...args], {
    cwd: elsewhere.folder,
    env: { COSIGN_PASSWORD: PASSWORD, BOXSHIP_CACHE: join(elsewhere.folder, 'cache'), ...env },
  });
}

/** Signatures too: they are deterministic (RFC 6979). */
async function composeElsewhere(node: string, env: Readonly<Record<string, string>>, umask?: string) {
  await rm(join(elsewhere.folder, 'deploy'), { recursive: true, force: true });
  await elsewhereRun(node, ['compose', '--variant', 'pro'], env, umask);
  return await digestsOf((await readSampleRelease(elsewhere.folder, 'pro')).folder);
}

describe('the same bytes', () => {
  it('in another folder, from another cache', async () => {
    expect(await composeElsewhere(process.execPath, {})).toEqual(expected);
  });

  it('with another umask, locale, time zone, home and folder for scratch files', async () => {
    const env = { LC_ALL: 'tr_TR.UTF-8', LANG: 'tr_TR.UTF-8', TZ: 'Pacific/Kiritimati', HOME: folder, TMPDIR: folder };
    expect(await composeElsewhere(process.execPath, env, '077')).toEqual(expected);
  });

  it('on another day (libfaketime)', async () => {
    const { folder: root } = await fetchDebianPackage({ suite: 'bookworm', package: 'libfaketime' });
    const { stdout } = await runProgram('find', [root, '-name', 'libfaketime.so.1']);
    const env = {
      LD_PRELOAD: stdout.toString().trim(),
      FAKETIME: '2031-02-03 04:05:06',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
    const { stdout: day } = await runProgram(process.execPath, ['-p', 'new Date().getUTCFullYear()'], { env });
    expect(day.toString().trim()).toBe('2031');
    expect(await composeElsewhere(process.execPath, env)).toEqual(expected);
  });

  it.for(versions.filter(({ program }) => program === undefined))('with Node $major', ({ major }, { skip }) => {
    skip(`Node ${major} cannot be fetched`);
  });

  it.each(versions.filter(({ program }) => program !== undefined))('with Node $major', async ({ major, program }) => {
    const { stdout } = await runProgram(program!, ['--version']);
    expect(stdout.toString()).toMatch(new RegExp(`^v${major}\\.`));
    const lock = await readFile(join(elsewhere.folder, 'boxship.lock'), 'utf8');
    // with a cache of its own: an inventory that another version took must not hide what this one would take
    const env = { BOXSHIP_CACHE: join(elsewhere.folder, `cache-${major}`) };
    await elsewhereRun(program!, ['lock'], env);
    expect(await readFile(join(elsewhere.folder, 'boxship.lock'), 'utf8')).toBe(lock);
    expect(await composeElsewhere(program!, env)).toEqual(expected);
  });
});
