import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFileReader, runProgram } from '@boxship/host';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { rootfsBelow } from './folder-reader.ts';
import type { RootfsReader } from './rootfs-reader.ts';
import { openTarRootfs } from './tar-rootfs.ts';

let folder = '';
let system: RootfsReader;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-below-'));
  const script = `mkdir -p root/usr/lib root/sys/usr/lib root/sys/etc && cd root && echo outer >usr/lib/name && echo inner >sys/usr/lib/name
    cd sys && ln -s usr/lib lib && ln -s /usr/lib/name etc/absolute && ln -s ../../../../usr/lib/name etc/upwards
    ln -s circle etc/circle && ln -s gone etc/dangling && cd ../.. && tar -C root -cf root.tar .`;
  await runProgram('sh', ['-ec', script], { cwd: folder });
  system = rootfsBelow(
    await openTarRootfs(await openFileReader(join(folder, 'root.tar')), { name: 'root.tar' }),
    'sys',
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('is the root of what is in it: symlinks begin there and lead nowhere else', async () => {
  for (const path of [
    'usr/lib/name',
    '/usr/lib/name',
    'lib/name',
    'etc/absolute',
    'etc/upwards',
    'etc/../lib/./name',
  ]) {
    expect(await system.readText(path), path).toBe('inner\n');
    expect(await system.realPath(path), path).toBe('usr/lib/name');
    expect(Buffer.from(await system.readFile(path)).toString()).toBe('inner\n');
  }
  expect((await system.lstat('etc/absolute'))!.type).toBe('symlink');
  expect((await system.stat('etc/absolute'))!.type).toBe('file');
  expect(await system.readLink('etc/absolute')).toBe('/usr/lib/name');
  expect((await system.readDirectory('lib')).map(({ name }) => name)).toEqual(['name']);
  expect((await system.readDirectory('')).map(({ name }) => name)).toEqual(['etc', 'lib', 'usr']);
});

it('has nothing where nothing is, and tells a circle', async () => {
  for (const path of ['sys', 'etc/dangling', 'usr/lib/name/below']) {
    expect(await system.exists(path), path).toBe(false);
    expect(await system.readText(path)).toBeUndefined();
  }
  expect(await system.readDirectory('nowhere')).toEqual([]);
  await expect(system.readFile('etc/dangling')).rejects.toMatchObject({ code: 'FILE_MISSING' });
  await expect(system.exists('etc/circle')).rejects.toMatchObject({ code: 'TOO_MANY_LINKS' });
});
