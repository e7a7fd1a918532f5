import { mkdtemp, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readDeviceFacts } from '@boxship/filesystem';
import { openCache, runProgram, type Cache } from '@boxship/host';
import type { UserError } from '@boxship/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeSampleTezi, sampleImageJson } from '../tezi/sample-tezi.ts';
import { probeBaseImage } from './index.ts';
import { raw } from './raw.ts';
import { tezi } from './tezi.ts';

let folder = '';
let image = '';
let cache: Cache;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-tezi-'));
  cache = openCache(join(folder, 'cache'));
  image = await makeSampleTezi(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const fault = async (work: Promise<unknown>): Promise<UserError> =>
  await work.then(
    () => expect.fail('no error'),
    (error: unknown) => error as UserError,
  );

/** What every form of the sample must say. */
async function expectSample(path: string): Promise<void> {
  expect(await probeBaseImage(path)).toBe(tezi);
  await using base = await tezi.read(path, { cache });
  expect(base.devices).toEqual([]);
  expect(base.tezi!.json).toEqual(sampleImageJson());
  expect(base.tezi!.files.map(({ name, size }) => [name, size])).toContainEqual(['imx-boot', 23]);
  expect(base.tezi!.files).toHaveLength(8);
  const rootfs = await base.openRootfs({});
  expect(rootfs.partition).toBe(2);
  expect(await readDeviceFacts(rootfs.files)).toMatchObject({ osRelease: { ID: 'tdx' }, init: 'systemd' });
}

describe('an image for Toradex Easy Installer', () => {
  it('is a folder', () => expectSample(image));

  // as vendors pack it: by tar and zip, flat or in one folder, image.json first as Toradex's build has it, or anywhere
  it.each([
    ['flat.tar', 'tar -cf ../flat.tar *'],
    ['wrapped.tar', "tar --transform 's,^,Verdin-Tezi_6.8.0/,' -cf ../wrapped.tar image.json $(ls | grep -v image.json)"],
    ['dotted.tar.xz', 'tar -cJf ../dotted.tar.xz ./*'],
    ['wrapped.tar.gz', "tar --transform 's,^,a folder/,' -czf ../wrapped.tar.gz *"],
    ['flat.tar.zst', 'tar --zstd -cf ../flat.tar.zst *'],
    ['flat.tar.bz2', 'tar -cjf ../flat.tar.bz2 *'],
    ['stored.zip', 'zip -q0 ../stored.zip *'],
    ['deflated.zip', 'zip -q9 ../deflated.zip *'],
    ['wrapped.zip', 'cd .. && cp -r image wrapped && zip -qr wrapped.zip wrapped && rm -r wrapped'],
    ['zip64.zip', `python3 -c "
import zipfile, os
with zipfile.ZipFile('../zip64.zip', 'w', zipfile.ZIP_DEFLATED) as z:
    for n in sorted(os.listdir('.')):
        with z.open(n, 'w', force_zip64=True) as f: f.write(open(n, 'rb').read())"`],
  ])('is an archive: %s', async (name, command) => {
    await runProgram('sh', ['-ec', command], { cwd: image });
    await expectSample(join(folder, name));
  }); // prettier-ignore

  it('is none: other archives and folders', async () => {
    await runProgram('sh', ['-ec', 'tar -cf ../other.tar prepare.sh && zip -q ../other.zip prepare.sh'], {
      cwd: image,
    });
    await runProgram('sh', ['-ec', 'mkdir -p a/b && cp image/image.json a/b && tar -cf deep.tar a'], { cwd: folder });
    for (const name of ['other.tar', 'other.zip', 'deep.tar', 'a', 'image/imx-boot', 'image/rootfs.tar.xz']) {
      expect(await tezi.probe(join(folder, name)), name).toBe(false);
    }
    for (const name of ['flat.tar', 'stored.zip']) expect(await raw.probe(join(folder, name)), name).toBe(false);
  });

  it('is refused when a file is absent: every one is told, with its line', async () => {
    const other = await makeSampleTezi(await mkdtemp(join(folder, 'absent-')));
    await unlink(join(other, 'wrapup.sh'));
    await unlink(join(other, 'rootfs.tar.xz'));
    const error = await fault(tezi.read(other, { cache }));
    expect(error.problems.map(({ message, where }) => `${where!.line}: ${message}`)).toEqual([
      '10: image.json names wrapup.sh, which is not beside it',
      '46: image.json names rootfs.tar.xz, which is not beside it',
    ]);
  });

  it('is refused when its archive is damaged, or made to harm; nothing is left behind', async () => {
    const bytes = await readFile(join(folder, 'deflated.zip'));
    await writeFile(join(folder, 'cut.zip'), bytes.subarray(0, bytes.length - 40));
    expect(await tezi.probe(join(folder, 'cut.zip'))).toBe(false);
    const local = bytes.indexOf('imx-boot');
    bytes[local + 'imx-boot'.length + 40]! ^= 0xff; // behind the extra field: in the data
    await writeFile(join(folder, 'flipped.zip'), bytes);
    expect((await fault(tezi.read(join(folder, 'flipped.zip'), { cache }))).code).toBe('ZIP_DAMAGED');
    const harm = `
import tarfile, io, zipfile
t = tarfile.open('link.tar', 'w'); t.add('image/image.json', 'image.json')
i = tarfile.TarInfo('imx-boot'); i.type = tarfile.SYMTYPE; i.linkname = '/etc/shadow'; t.addfile(i); t.close()
t = tarfile.open('out.tar', 'w'); t.add('image/image.json', 'image.json')
i = tarfile.TarInfo('../../escaped'); t.addfile(i); t.close()
z = zipfile.ZipFile('out.zip', 'w'); z.write('image/image.json', 'image.json'); z.writestr('../../escaped', 'x'); z.close()
`;
    await runProgram('python3', ['-c', harm], { cwd: folder });
    expect((await fault(tezi.read(join(folder, 'link.tar'), { cache }))).code).toBe('TEZI_UNSAFE_NAME');
    expect((await fault(tezi.read(join(folder, 'out.tar'), { cache }))).code).toBe('TAR_UNSAFE_PATH');
    expect((await fault(tezi.read(join(folder, 'out.zip'), { cache }))).code).toMatch(/ZIP_UNSAFE_PATH|NO_IMAGE_JSON/);
    const { stdout } = await runProgram('find', [folder, '-name', 'escaped', '-o', '-name', '*.partial']);
    expect(stdout.toString()).toBe('');
  });

  it('is refused when there are two of them', async () => {
    await runProgram('sh', ['-ec', 'mkdir two && cp -r image two/one && cp -r image two/other && tar -C two -cf two.tar .'], { cwd: folder }); // prettier-ignore
    const error = await fault(tezi.read(join(folder, 'two.tar'), { cache }));
    expect(error.message).toMatch(/two\.tar holds 2 images: one\/image\.json, other\/image\.json/);
  });
});
