/* eslint-disable @typescript-eslint/no-explicit-any -- the sample is bent in ways that no type has */
import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { planExt4 } from '@boxship/filesystem';
import { openCache, programRoom, runProgram, silent } from '@boxship/host';
import { bytesSource, type Tree, type TreeEntry, type UserError, type Variant } from '@boxship/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AddedFiles, ArtifactRelease, PlannedArtifact } from '../artifact-format.ts';
import { raw as rawBase } from '../base-images/raw.ts';
import { tezi as teziBase } from '../base-images/tezi.ts';
import { makeSampleTezi, sampleImageJson, sampleNandJson } from '../tezi/sample-tezi.ts';
import { artifactFormat, planArtifacts } from './index.ts';
import { tezi } from './tezi.ts';

const UUID = '11111111-2222-4333-8444-555555555555';
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-tezi-artifact-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const common = { uid: 0, gid: 0, mtime: 1, mtimeNanoseconds: 0 };
const fileEntry = (path: string, text: string): TreeEntry => ({
  ...common,
  path,
  type: 'file',
  mode: 0o644,
  size: text.length,
  content: { source: bytesSource(path, Buffer.from(text)), offset: 0 },
});
const tree: Tree = {
  entries: () => [{ ...common, path: '', type: 'directory', mode: 0o755, size: 0 }, fileEntry('layer', 'x'.repeat(5000))],
}; // prettier-ignore
const SOCKET: AddedFiles = {
  entries: [fileEntry('lib/boxship/verify', '#!/bin/sh\n'), fileEntry('etc/boxship', 'y')],
  listing: [{ path: 'lib/boxship/verify', why: 'verifies' }],
};

/** A release of a small store on the base at `path`. */
async function withRelease<T>(
  path: string,
  work: (release: ArtifactRelease) => Promise<T>,
  socket: AddedFiles = SOCKET,
): Promise<T> {
  const format = (await teziBase.probe(path)) ? teziBase : rawBase;
  await using base = await format.read(path, { cache: openCache(join(folder, 'cache')) });
  const planOf = (label: string) =>
    planExt4(tree, { uuid: UUID, hashSeed: UUID, label, epoch: 1, size: { exact: 8 << 20 } });
  const variant = { product: 'acme', version: '2.1', name: 'pro', epoch: 86400, machine: { name: 'verdin' } };
  return await work({
    variant: variant as unknown as Variant,
    base,
    rootfs: base.tezi ? await base.openRootfs({}).catch(() => undefined as any) : (undefined as any),
    store: planOf('boxship-store'),
    signature: { start: 0, end: 0 },
    data: planOf('boxship-data'),
    dataTree: tree,
    storeTree: tree,
    identity: () => UUID,
    socket: () => socket,
    productFile: (path: string) => join(folder, path),
  });
}

const sampleWith = async (change: (json: any) => void, json: any = sampleImageJson()): Promise<string> => {
  change(json);
  return await makeSampleTezi(await mkdtemp(join(folder, 'sample-')), json);
};
const fault = async (path: string, format = 'tezi'): Promise<UserError> =>
  await withRelease(path, ({ variant, ...release }) =>
    planArtifacts({ ...release, variant: { ...variant, artifacts: [artifactFormat(format).readOptions({})] } }),
  ).then(
    () => expect.fail('no error'),
    (error: unknown) => error as UserError,
  );

/** Writes the artifact as `compose` does, and unpacks it with the real tar. */
async function write(path: string, options: Record<string, unknown> = {}, socket: AddedFiles = SOCKET) {
  const out = await mkdtemp(join(folder, 'out-'));
  const plan = await withRelease(
    path,
    async (release): Promise<PlannedArtifact> => {
      const planned = await tezi.plan(release, [tezi.readOptions(options)]);
      const sink = await planned.open(out);
      await sink.writeFrame(() => {});
      for (const source of planned.sources) {
        for (const writer of sink.contentWriters(source)) {
          for await (const chunk of source.open()) await writer.write(chunk);
          await writer.end();
        }
      }
      await sink.settle();
      const [file] = await sink.finish({
        progress: silent,
        room: programRoom(),
        signer: { publicKeyPem: '', sign: () => Promise.reject(new Error('no signature in it')) },
      });
      const { stdout } = await runProgram('sha256sum', [join(out, file!.name)]);
      expect(`sha256:${stdout.toString().slice(0, 64)}`).toBe(file!.digest);
      expect(file!.size).toBe(planned.bytesToWrite);
      return planned;
    },
    socket,
  );
  await runProgram('tar', ['-C', out, '--strip-components=1', '-xf', join(out, plan.files[0]!)]);
  const json = JSON.parse(await readFile(join(out, 'image.json'), 'utf8'));
  return { out, plan, json };
}

describe('an artifact for Toradex Easy Installer', () => {
  it('is read again as what was written, store and vendor files included', async () => {
    const vendor = await sampleWith(() => {});
    const { out, plan, json } = await write(vendor);
    expect(plan.files).toEqual(['acme-2.1-verdin-pro.tezi.tar']);
    await runProgram('e2fsck', ['-fn', join(out, 'boxship-store.img')]);
    const was: any = sampleImageJson();
    expect({ ...json, blockdevs: undefined }).toEqual({
      ...was,
      blockdevs: undefined,
      config_format: 3,
      name: 'Reference Minimal with acme',
      version: '2.1',
      release_date: '1970-01-02',
    });
    expect(json.blockdevs[1]).toEqual(was.blockdevs[1]);
    expect(json.blockdevs[0].partitions.map(({ content }: any) => content.label ?? content.filesystem_type)).toEqual([
      'BOOT', 'RFS', 'raw', 'boxship-data',
    ]); // prettier-ignore
    // two files and the folder on the way: 3 blocks of 4 KiB
    expect(json.blockdevs[0].partitions[1].content.uncompressed_size).toBe(1.25 + 3 / 256);
    const { stdout } = await runProgram('tar', ['-tf', join(out, 'boxship-socket.tar')]);
    // /lib is a symlink in this rootfs: unpacked over it, a folder `lib` would take its place
    expect(stdout.toString().trim().split('\n')).toEqual(['usr/lib/boxship/', 'usr/lib/boxship/verify', 'etc/boxship']);
    await using again = await teziBase.read(join(out, plan.files[0]!), { cache: openCache(join(folder, 'cache')) });
    expect(again.tezi!.json).toEqual(json);
    expect(plan.changes.map(({ path, why }) => `${path} ${why}`)).toEqual([
      '/usr/lib/boxship a folder on the way', '/usr/lib/boxship/verify verifies', '/etc/boxship a folder on the way',
    ]); // prettier-ignore
  });

  it('keeps a newer config_format, and the old one when the rootfs has its socket', async () => {
    const newer = await write(await sampleWith((json) => (json.config_format = '5')));
    expect(newer.json.config_format).toBe(5);
    const old = await write(await sampleWith((json) => (json.config_format = '1')), {}, { entries: [], listing: [] });
    expect(old.json.config_format).toBe(1);
    expect(old.json.blockdevs[0].partitions[1]).toEqual((sampleImageJson() as any).blockdevs[0].partitions[1]);
  });

  it('has the name and the rest that the product file gives', async () => {
    const { json } = await write(await sampleWith(() => {}), { name: 'Acme', description: 'A', autoinstall: true });
    expect(json).toMatchObject({ name: 'Acme', description: 'A', autoinstall: true });
  });

  it('has licence, release notes, pictures and provisioning data of the product, beside what the vendor has', async () => {
    const files = {
      'eula.html': '<p>All yours',
      'NOTES.txt': 'New: blue\n',
      'look.tar': 'pictures',
      'a.png': 'icon',
      'online.json': '{"client_id":"x"}',
    };
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    await mkdir(join(folder, 'shared'));
    await writeFile(join(folder, 'shared/root.crt'), Buffer.alloc(5000));
    await runProgram('tar', ['-C', join(folder, 'shared'), '-czf', join(folder, 'shared.tar.gz'), '.']);
    const vendor = await sampleWith((json) => (json.license = 'prepare.sh'));
    const { out, json, plan } = await write(vendor, {
      license: 'eula.html', licenseTitle: 'Acme', releaseNotes: 'NOTES.txt', releaseNotesTitle: 'News', marketing: 'look.tar', icon: 'a.png',
      provisioning: 'shared.tar.gz', onlineProvisioning: 'online.json',
    }); // prettier-ignore
    expect(json).toMatchObject({
      license: 'boxship-license.html', license_title: 'Acme', releasenotes: 'boxship-releasenotes.txt', releasenotes_title: 'News',
      marketing: 'boxship-marketing.tar', icon: 'boxship-icon.png',
    }); // prettier-ignore
    expect(json.blockdevs[0].partitions[1].content.filelist).toEqual([
      'boxship-socket.tar:/:true', 'boxship-provisioning.tar.gz:/var/sota/import/:true', 'boxship-online-provisioning.tar:/var/sota/:true',
    ]); // prettier-ignore
    // the socket has 3 blocks, the archive a folder and a file of 2, the JSON 1
    expect(json.blockdevs[0].partitions[1].content.uncompressed_size).toBe(1.25 + 7 / 256);
    expect(await readFile(join(out, json.license), 'utf8')).toBe(files['eula.html']);
    await runProgram('cmp', [join(out, 'boxship-provisioning.tar.gz'), join(folder, 'shared.tar.gz')]);
    const { stdout } = await runProgram('tar', ['-tvf', join(out, 'boxship-online-provisioning.tar')]);
    expect(stdout.toString()).toMatch(/^-rw-r----- 0\/0 +17 1970-01-02 .* auto-provisioning\.json\n$/);
    for (const name of ['toradexlinux.png', 'marketing.tar', 'prepare.sh'])
      await runProgram('cmp', [join(out, name), join(vendor, name)]);
    await using again = await teziBase.read(join(out, plan.files[0]!), { cache: openCache(join(folder, 'cache')) });
    expect(again.tezi!.json).toEqual(json);

    await expect(write(vendor, { onlineProvisioning: 'NOTES.txt' })).rejects.toThrow(/NOTES\.txt is no JSON/);
    await expect(write(vendor, { provisioning: 'a.png' })).rejects.toThrow(/a\.png is no tar archive/);
    await expect(
      tezi.plan({ productFile: () => join(folder, 'a.png'), variant: { epoch: 0 } } as any, [
        { format: 'tezi', icon: 'a.png', iconDigest: 'sha256:0' },
      ]),
    ).rejects.toThrow(/the plan has sha256:0/);
  });

  it('is refused where our partitions cannot be', async () => {
    const emmc = (json: any) => json.blockdevs[0];
    const nand = await fault(await sampleWith(() => {}, sampleNandJson()));
    expect(nand.message).toMatch(/image\.json:\d+:\d+: the rootfs is in NAND \(ubi\)/);
    const full = await fault(await sampleWith((json) => emmc(json).partitions.push(emmc(json).partitions[0])));
    expect(full.message).toMatch(/emmc has 3 partitions, and an MBR has room for 4: 2 more do not fit/);
    const more = async (json: any) => {
      emmc(json).table_type = 'gpt';
      emmc(json).partitions.push(emmc(json).partitions[0]);
    };
    expect((await write(await sampleWith((json) => void more(json)))).json.blockdevs[0].partitions).toHaveLength(5);
    const small = await fault(
      await sampleWith((json) =>
        Object.assign(emmc(json).partitions[1], { want_maximised: false, partition_size_nominal: 1 }),
      ),
    );
    expect(small.message).toMatch(/the rootfs unpacks to 1\.\d+ MiB with what is added, its partition has 1 MiB/);
    const composed = await sampleWith(() => {});
    await writeFile(join(composed, 'boxship-store.img'), '');
    expect((await fault(composed)).code).toBe('TEZI_OWN_FILE');
  });

  it('needs a base for the installer; an image of a disk is not made of NAND', async () => {
    const disk = join(folder, 'vendor.img');
    const sector = Buffer.alloc(512);
    sector[446 + 4] = 0x83;
    sector.writeUInt32LE(2048, 446 + 8);
    sector.writeUInt32LE(8192, 446 + 12);
    sector.writeUInt16LE(0xaa55, 510);
    await writeFile(disk, sector);
    await truncate(disk, 8 << 20);
    expect((await fault(disk)).code).toBe('BASE_IS_NO_TEZI');
    const nand = await fault(await sampleWith(() => {}, sampleNandJson()), 'raw');
    expect(nand.code).toBe('TEZI_NO_DISK');
    expect(nand.message).toMatch(/the rootfs is in NAND \(ubi\): there is no disk/);
  });
});
