import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { mkdir, mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCache, runProgram, type Cache } from '@boxship/host';
import { MiB, type UserError } from '@boxship/model';
import { inspectPath, type Inspection } from './index.ts';

let folder = '';
let cache: Cache;
let disk = '';
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const publicKeyPem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

const STORE = `${JSON.stringify({
  kind: 'boxship-store',
  socketVersion: 1,
  product: 'acme',
  version: '1.0',
  variant: 'basic',
  machine: 'qemux86-64',
  platform: 'linux/amd64',
  engine: 'docker',
  apps: [{ name: 'web' }],
  images: [{ reference: 'acme/web:1', manifest: 'sha256:1', config: 'sha256:2', layers: ['sha256:3'] }],
})}\n`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-inspect-'));
  cache = openCache(join(folder, 'cache'));
  disk = join(folder, 'device.img');
  const rootfs = join(folder, 'rootfs.ext4');
  const store = join(folder, 'store.ext4');
  await makeExt4(rootfs, 'rootfs', 16, {
    'etc/os-release': 'ID=acme\nPRETTY_NAME="Acme \\u001b[31mOS\\u001b[0m 1"\nVERSION_ID=1\n'.replaceAll(
      '\\u001b',
      '\u001b',
    ),
    ...dockerStore('var/lib/docker'),
  });
  await makeExt4(store, 'boxship-store', 8, {
    'store.json': STORE,
    'store.json.sig': `${sign('sha256', Buffer.from(STORE), privateKey).toString('base64')}\n`,
    ...dockerStore('docker'),
  });
  await makeDisk(disk, [rootfs, store]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** An ext4 that e2fsprogs made, of these files. */
async function makeExt4(path: string, label: string, mebibytes: number, files: Record<string, string>): Promise<void> {
  const tree = `${path}.d`;
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(tree, name, '..'), { recursive: true });
    await writeFile(join(tree, name), text);
  }
  await runProgram('mke2fs', ['-q', '-t', 'ext4', '-L', label, '-d', tree, path, `${mebibytes}M`]);
}

/** Docker's own image store with one image, as moby's image/store.go and reference/store.go lay it out. */
function dockerStore(at: string): Record<string, string> {
  const config = JSON.stringify({
    os: 'linux',
    architecture: 'arm64',
    created: '2026-01-02T03:04:05Z',
    rootfs: { type: 'layers', diff_ids: [`sha256:${'a'.repeat(64)}`] },
  });
  const id = `sha256:${sha256(config)}`;
  const names = { 'acme/web:1': id, [`acme/web@sha256:${'b'.repeat(64)}`]: id };
  return {
    [`${at}/image/overlay2/repositories.json`]: JSON.stringify({ Repositories: { 'acme/web': names } }),
    [`${at}/image/overlay2/imagedb/content/sha256/${sha256(config)}`]: config,
  };
}

/** A GPT disk that sfdisk made, with these partitions one after another. */
async function makeDisk(path: string, partitions: readonly string[]): Promise<void> {
  await writeFile(path, '');
  await truncate(path, 40 * MiB);
  const lines = ['label: gpt', 'start=2048, size=32768, name=rootfs', 'start=36864, size=16384, name=boxship-store'];
  await runProgram('sfdisk', ['--quiet', path], { input: lines.join('\n') });
  const handle = await open(path, 'r+');
  for (const [at, start] of [2048, 36864].entries()) {
    const bytes = await readFile(partitions[at]!);
    await handle.write(bytes, 0, bytes.length, start * 512);
  }
  await handle.close();
}

const inspect = (path: string, key?: string) => inspectPath(path, { cache, ...(key ? { publicKeyPem: key } : {}) });
const fault = async (path: string) =>
  await inspect(path).then(
    () => expect.fail('no error'),
    (error: unknown) => (error as UserError).code,
  );
const storeOf = ({ devices }: Inspection) => devices![0]!.partitions[1]!.filesystem!.store!;

describe('a disk image', () => {
  it('has the partitions that sfdisk reads and the file systems that dumpe2fs reads', async () => {
    const { kind, format, devices, problems } = await inspect(disk);
    expect({ kind, format, problems }).toEqual({ kind: 'disk', format: 'raw', problems: [] });
    const { stdout } = await runProgram('sfdisk', ['-J', disk]);
    const { partitiontable } = JSON.parse(stdout.toString()) as { partitiontable: SfdiskTable };
    const [device] = devices!;
    expect(device).toMatchObject({ table: partitiontable.label, diskId: partitiontable.id.toLowerCase(), sectorSize: 512 });
    expect(device!.partitions.map(({ name, start, size, type, uuid }) => ({ name, start, size, type, uuid }))).toEqual(
      partitiontable.partitions.map(({ name, start, size, type, uuid }) => {
        return { name, start: start * 512, size: size * 512, type: type.toLowerCase(), uuid: uuid.toLowerCase() };
      }),
    );
    const dump = (await runProgram('dumpe2fs', ['-h', join(folder, 'rootfs.ext4')])).stdout.toString();
    const said = (what: string) => new RegExp(`^${what}:\\s+(.*)$`, 'm').exec(dump)![1]!;
    expect(device!.partitions[0]!.filesystem).toMatchObject({
      kind: 'ext4',
      label: said('Filesystem volume name'),
      uuid: said('Filesystem UUID'),
      size: Number(said('Block count')) * Number(said('Block size')),
      free: Number(said('Free blocks')) * Number(said('Block size')),
    });
  }); // prettier-ignore

  it('tells of the system and of the images that its engine has', async () => {
    const { devices } = await inspect(disk);
    const system = devices![0]!.partitions[0]!.filesystem!.system!;
    expect(system).toMatchObject({ id: 'acme', version: '1', engines: [] });
    expect(system.stores).toEqual([
      {
        engine: 'docker',
        folder: '/var/lib/docker',
        images: [
          {
            names: ['acme/web:1'],
            id: expect.stringMatching(/^sha256:/),
            manifest: `sha256:${'b'.repeat(64)}`,
            platform: 'linux/arm64',
            layers: 1,
            created: '2026-01-02T03:04:05Z',
          },
        ],
        problems: [],
      },
    ]);
  });

  it('tells whose store it holds, and whether the key signed it', async () => {
    expect(storeOf(await inspect(disk))).toMatchObject({
      signature: 'unchecked',
      product: 'acme',
      apps: ['web'],
      images: [{ reference: 'acme/web:1', layers: 1 }],
      stores: [{ engine: 'docker', folder: '/docker', images: [{ names: ['acme/web:1'] }] }],
    });
    expect(storeOf(await inspect(disk, publicKeyPem)).signature).toBe('ok');
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
    const otherPem = other.export({ type: 'spki', format: 'pem' }).toString();
    expect(storeOf(await inspect(disk, otherPem)).signature).toBe('bad');
  });

  it('is read compressed as well, and its partitions by themselves', async () => {
    await writeFile(`${disk}.gz`, gzipSync(await readFile(disk), { level: 1 }));
    const packed = await inspect(`${disk}.gz`);
    expect(packed.compression).toBe('gz');
    expect(packed.devices).toEqual((await inspect(disk)).devices);
    const store = await inspect(join(folder, 'store.ext4'), publicKeyPem);
    expect(store).toMatchObject({ kind: 'filesystem', format: 'ext4', filesystem: { store: { signature: 'ok' } } });
    await writeFile(join(folder, 'store.ext4.gz'), gzipSync(await readFile(join(folder, 'store.ext4'))));
    expect((await inspect(join(folder, 'store.ext4.gz'))).filesystem).toMatchObject({ store: { product: 'acme' } });
  });
});

interface SfdiskTable {
  readonly label: string;
  readonly id: string;
  readonly partitions: readonly {
    readonly name: string;
    readonly start: number;
    readonly size: number;
    readonly type: string;
    readonly uuid: string;
  }[];
}

describe('what is damaged', () => {
  it('is a problem of its part; the rest is shown', async () => {
    const torn = join(folder, 'torn.img');
    await writeFile(torn, await readFile(disk));
    const handle = await open(torn, 'r+');
    await handle.write(Buffer.alloc(64 * 1024, 0xff), 0, 64 * 1024, 2048 * 512 + 2048); // group descriptors of the rootfs
    await handle.close();
    const { devices } = await inspect(torn);
    const [rootfs, store] = devices![0]!.partitions;
    expect(rootfs!.problems.map(({ code }) => code)).toEqual(['EXT4_CORRUPT']);
    expect(rootfs!.filesystem).toMatchObject({ kind: 'ext4' });
    expect(store!.filesystem!.store).toMatchObject({ product: 'acme' });
  });

  it('has a store.json that is none, or no signature', async () => {
    const strange = join(folder, 'strange.ext4');
    await makeExt4(strange, 'x', 8, { 'store.json': '{ "kind": "boxship-store"' });
    expect((await inspect(strange)).problems.map(({ code }) => code)).toEqual(['BAD_DOCUMENT']);
    const unsigned = join(folder, 'unsigned.ext4');
    await makeExt4(unsigned, 'x', 8, { 'store.json': STORE });
    expect((await inspect(unsigned, publicKeyPem)).filesystem!.store!.signature).toBe('missing');
  });

  it('has an engine store whose index is not JSON', async () => {
    const path = join(folder, 'index.ext4');
    await makeExt4(path, 'x', 8, { 'var/lib/docker/image/overlay2/repositories.json': '{"Repositories":' });
    const [store] = (await inspect(path)).filesystem!.system!.stores;
    expect(store).toMatchObject({ engine: 'docker', images: [], problems: [{ code: 'BAD_STORE' }] });
  });

  it('is not known, empty, or not there: each an error that says so', async () => {
    await writeFile(join(folder, 'noise'), Buffer.alloc(MiB, 'x'));
    await writeFile(join(folder, 'empty'), '');
    await writeFile(join(folder, 'noise.gz'), gzipSync(Buffer.alloc(MiB)));
    expect(await fault(join(folder, 'noise'))).toBe('UNKNOWN_FILE');
    expect(await fault(join(folder, 'empty'))).toBe('UNKNOWN_FILE');
    expect(await fault(join(folder, 'noise.gz'))).toBe('UNKNOWN_FILE');
    expect(await fault(folder)).toBe('UNKNOWN_FILE');
    expect(await fault(join(folder, 'gone'))).toBe('NOT_FOUND');
    await expect(inspect(disk, 'no key at all')).rejects.toMatchObject({ code: 'BAD_KEY' });
  });
});

describe('a release', () => {
  it('names what is missing or has another size, and looks at nothing outside of its folder', async () => {
    const release = join(folder, 'release');
    await mkdir(release);
    const files = [
      { name: 'a.img', size: 3, digest: 'sha256:a' },
      { name: 'b.img', size: 4, digest: 'sha256:b' },
      { name: '../device.img', size: 1, digest: 'sha256:c' },
    ];
    const document = { kind: 'boxship-release', releaseVersion: 1, files, variant: { product: 'acme', machine: { name: 'm' } } };
    await writeFile(join(release, 'release.json'), JSON.stringify(document));
    await writeFile(join(release, 'a.img'), 'abc');
    await writeFile(join(release, 'b.img'), 'abc');
    const { kind, release: found } = await inspect(release);
    expect(kind).toBe('release');
    expect(found).toMatchObject({ signature: 'missing', product: 'acme', machine: 'm' });
    expect(found!.files.map(({ state }) => state)).toEqual(['there', 'wrong size', 'absent']);
  }); // prettier-ignore
});
