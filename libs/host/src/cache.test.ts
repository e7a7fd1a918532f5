import { mkdir, mkdtemp, readFile, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defaultCacheRoot, openCache, type Cache } from './cache.ts';
import { partialPath } from './partial-file.ts';

let root = '';
let cache: Cache;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'boxship-cache-'));
  cache = openCache(root);
});
afterEach(() => rm(root, { recursive: true, force: true }));

const files = async () =>
  (await readdir(root, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);

describe('get', () => {
  it('makes an item once, for all who ask at the same time', async () => {
    let made = 0;
    const make = async (path: string) => writeFile(path, `made ${++made}`);
    const paths = await Promise.all([cache.get('blob', 'abcd', make), cache.get('blob', 'abcd', make)]);
    await cache.get('blob', 'abcd', make);
    expect(new Set(paths)).toEqual(new Set([join(root, 'blob/ab/abcd')]));
    expect(made).toBe(1);
    expect(await readFile(paths[0], 'utf8')).toBe('made 1');
  });

  it('leaves nothing when making fails, and the next one works', async () => {
    const full = async (path: string) => {
      await writeFile(path, 'half');
      throw new Error('ENOSPC');
    };
    await expect(cache.get('blob', 'abcd', full)).rejects.toThrow('ENOSPC');
    expect(await files()).toEqual([]);
    expect(await cache.has('blob', 'abcd')).toBe(false);
    await cache.get('blob', 'abcd', (path) => writeFile(path, 'whole'));
    expect(await files()).toEqual(['abcd']);
  });

  it('takes the folder of a run that was faster', async () => {
    const path = await cache.get('inventory-v1', 'abcd', async (aside) => {
      await mkdir(aside);
      await writeFile(join(aside, 'records'), 'slow');
      const other = cache.path('inventory-v1', 'abcd');
      await mkdir(other, { recursive: true });
      await writeFile(join(other, 'records'), 'fast');
    });
    expect(await readFile(join(path, 'records'), 'utf8')).toBe('fast');
    expect(await files()).toEqual(['records']);
  });

  it.each(['../x', '', '.hidden', 'a/b'])('refuses the key "%s"', (key) => {
    expect(() => cache.path('blob', key)).toThrow(/not a cache name/);
  });
});

describe('remember', () => {
  it('gives back what it kept; damage is as nothing', async () => {
    expect(await cache.recall('memo', 'abcd')).toBeUndefined();
    await cache.remember('memo', 'abcd', { size: 1 });
    expect(await cache.recall('memo', 'abcd')).toEqual({ size: 1 });
    await writeFile(cache.path('memo', 'abcd'), '{"si');
    expect(await cache.recall('memo', 'abcd')).toBeUndefined();
  });

  it('does not mind that it cannot keep anything', async () => {
    await writeFile(join(root, 'file'), '');
    const nowhere = openCache(join(root, 'file'));
    await nowhere.remember('memo', 'abcd', 1);
    expect(await nowhere.recall('memo', 'abcd')).toBeUndefined();
  });
});

describe('sweep', () => {
  /** What a process with this number left beside the item `key`. */
  const leave = async (kind: string, key: string, pid: number) => {
    const partial = partialPath(cache.path(kind, key)).replace(`.${process.pid}-`, `.${pid}-`);
    await mkdir(dirname(partial), { recursive: true });
    await writeFile(partial, 'half');
    return partial;
  };
  const DEAD = 2 ** 22 + 1; // more than Linux gives

  it('removes what killed runs left, and nothing that somebody writes', async () => {
    await leave('base-image', 'abcd', DEAD);
    await leave('base-image', 'abce', 1);
    const ours = partialPath(cache.path('base-image', 'abcf'));
    await writeFile(ours, 'ours');
    expect(await cache.sweep()).toBe(1);
    expect((await files()).sort()).toHaveLength(2);
  });

  it('keeps what can be taken up again for a day', async () => {
    const partial = await leave('blob', 'abcd', DEAD);
    expect(await cache.sweep(['blob'])).toBe(0);
    const yesterday = new Date(Date.now() - 25 * 3600 * 1000);
    await utimes(partial, yesterday, yesterday);
    expect(await cache.sweep(['blob'])).toBe(1);
  });

  it('of a cache that is not there does nothing', async () => {
    expect(await openCache(join(root, 'nowhere')).sweep()).toBe(0);
  });
});

it('the root is what the environment says', () => {
  expect(defaultCacheRoot({ BOXSHIP_CACHE: '/c', HOME: '/h' })).toBe('/c');
  expect(defaultCacheRoot({ XDG_CACHE_HOME: '/x', HOME: '/h' })).toBe('/x/boxship');
  expect(defaultCacheRoot({ HOME: '/h' })).toBe('/h/.cache/boxship');
});
