import { createHash } from 'node:crypto';
import { mkdir, open as openFile, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openProduct, rebase, updateApps, verifyRelease, type ExchangePlan, type Release } from '@boxship/compose';
import { socketVersion } from '@boxship/device-socket';
import { runProgram, silent, type Progress } from '@boxship/host';
import { generateKeyPair, loadPrivateKey, signBlob, signDigest } from 'cosign-node-binding';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildTinyBase, ROOTFS_START } from '../fixtures/tiny-base/build.mjs';
import { payloadByTools } from './payload-by-tools.ts';
import { fearProduct, filesBelow, noise, PASSWORD, refusal, writeImage, type FearProduct } from './fear-product.ts';

// One half of a release is exchanged; the other half stays, byte for byte (cmp).

let product: FearProduct;
/** Version 1, composed. */
let old = '';
let oldRelease: Release;
const name = 'tiny-docker-basic';

const appLayers = (words: string, bytes = 256 * 1024) => [
  [
    { name: 'bin/', type: 'directory' as const, mode: 0o755 },
    { name: 'bin/app', mode: 0o755, body: noise(bytes, 7) },
  ],
  [{ name: 'etc/app.conf', mode: 0o644, body: Buffer.from(words) }],
];

beforeAll(async () => {
  product = await fearProduct({
    layers: appLayers('one'),
    yaml: (text) => `${text}store: { size: 24MiB }\nartifacts: [raw, raw: { compression: zst }]\n`,
  });
  await product.lock();
  await product.compose();
  old = join(product.out, 'acme-1.0.0', name);
  oldRelease = await releaseOf(old);
  // the product goes on: another image of the same name, another version
  await product.edit('boxship.yaml', (text) => text.replace('version: 1.0.0', 'version: 2.0.0'));
  await runProgram('rm', ['-r', product.path('images/app')]);
  writeImage(product.path('images/app'), appLayers('two'));
  await product.lock();
  // and so does the vendor
  buildTinyBase(product.path('vendor-2.img'), { files: { 'etc/os-release': 'ID=tiny\nVERSION_ID=2\n' } });
});
afterAll(() => product[Symbol.asyncDispose]());

const open = (progress: Progress = silent) =>
  openProduct(product.file, { cache: product.cache, progress, version: '0.0.0-test' });
const releaseOf = async (folder: string) => JSON.parse(await readFile(join(folder, 'release.json'), 'utf8')) as Release;
const imageOf = (folder: string, { files }: Release) =>
  join(folder, files.find((file) => file.name.endsWith('.img'))!.name);
const partition = ({ partitions }: Release, role: string) => {
  const { start, size } = partitions.find((one) => one.role === role)!;
  return { start: start!, size };
};

/** The range has the same bytes in both files. */
async function sameBytes(a: string, b: string, fromA: number, fromB: number, length: number): Promise<boolean> {
  const { code } = await runProgram('cmp', ['-s', '-i', `${fromA}:${fromB}`, '-n', String(length), a, b], { accept: [0, 1] }); // prettier-ignore
  return code === 0;
}

async function extract(image: string, { start, size }: { start: number; size: number }, to: string): Promise<string> {
  await runProgram('dd', [`if=${image}`, `of=${to}`, 'bs=1M', 'iflag=skip_bytes,count_bytes', `skip=${start}`, `count=${size}`, 'status=none']); // prettier-ignore
  return to;
}

let scratch = 0;
const freshFolder = async () => {
  const folder = product.path(`out-${(scratch += 1)}`);
  await mkdir(folder);
  return folder;
};

/** A copy of the release whose store.json is another; signed again with the product's key. */
async function withStoreJson(change: (json: Record<string, unknown>) => void): Promise<string> {
  const folder = await freshFolder();
  await runProgram('cp', ['-a', `${old}/.`, folder]);
  const image = imageOf(folder, oldRelease);
  const store = await extract(image, partition(oldRelease, 'store'), product.path('store.img'));
  const { stdout } = await runProgram('debugfs', ['-R', 'cat /store.json', store]);
  const json = JSON.parse(stdout.toString()) as Record<string, unknown>;
  change(json);
  await writeFile(product.path('store.json'), `${JSON.stringify(json, null, 2)}\n`);
  await runProgram('debugfs', ['-w', '-R', 'rm /store.json', store]);
  await runProgram('debugfs', ['-w', '-R', `write ${product.path('store.json')} store.json`, store]);
  const { start } = partition(oldRelease, 'store');
  await runProgram('dd', [`if=${store}`, `of=${image}`, 'bs=1M', 'oflag=seek_bytes', `seek=${start}`, 'conv=notrunc', 'status=none']); // prettier-ignore
  // of its forms the plain image alone, which is what changed
  const file = oldRelease.files.find((one) => image.endsWith(one.name))!;
  for (const left of (await readdir(folder)).filter((one) => one.startsWith(`${file.name}.`))) {
    await runProgram('rm', [join(folder, left)]);
  }
  const { checkpoints: _stale, payload: _old, ...rest } = file;
  const digest = createHash('sha256').update(await readFile(image)).digest(); // prettier-ignore
  const release = { ...oldRelease, files: [{ ...rest, digest: `sha256:${digest.toString('hex')}` }] };
  const text = `${JSON.stringify(release, null, 2)}\n`;
  await writeFile(join(folder, 'release.json'), text);
  const signer = await loadPrivateKey(product.keys.privateKeyPem, PASSWORD);
  for (const [signed, made] of [
    [file.name, await signDigest(signer, digest)],
    ['release.json', await signBlob(signer, Buffer.from(text))],
  ] as const) {
    await writeFile(join(folder, `${signed}.sig`), made.raw);
    await writeFile(join(folder, `${signed}.sigstore.json`), made.bundle);
  }
  return folder;
}

describe('update-apps', () => {
  it('replaces the store and nothing else: every other byte is as it was, and the store is what compose writes', async () => {
    const out = await freshFolder();
    const plans: ExchangePlan[] = [];
    const made = await updateApps(await open(), old, { out, onPlan: (plan) => plans.push(plan) });
    expect(made.folder).toBe(join(out, 'acme-2.0.0', name));
    expect(plans[0]!.kept).toEqual(['partition 1 "boot" (vendor)', 'partition 2 "root" (rootfs)', 'partition 4 "boxship-data" (data)']); // prettier-ignore
    const release = await releaseOf(made.folder);
    expect(release.files.map((file) => file.name).sort()).toEqual(made.plan.files.map((file) => file).sort());
    await verifyRelease(made.folder, product.keys.publicKeyPem);
    expect(release.madeFrom).toEqual({ kept: 'base', version: '1.0.0', file: oldRelease.files[0]!.digest });
    expect(release.partitions).toEqual(oldRelease.partitions);
    expect(release.rootfsChanges).toEqual(oldRelease.rootfsChanges);
    expect(release.variant).toMatchObject({ version: '2.0.0', base: oldRelease.variant.base });

    const [was, is] = [imageOf(old, oldRelease), imageOf(made.folder, release)];
    const [{ payload: before }, { payload }] = [oldRelease.files[0]!, release.files[0]!];
    expect(await payloadByTools(is, payload!)).toBe(payload!.digest);
    expect(payload!.parts.map((part, i) => part.digest === before!.parts[i]!.digest)).toEqual([false, true]); // store, data
    expect(payload!.rootfsChanges).toEqual(before!.rootfsChanges);
    const store = partition(oldRelease, 'store');
    const end = store.start + store.size;
    const { size } = oldRelease.files[0]!;
    expect(await sameBytes(was, is, 0, 0, store.start)).toBe(true);
    expect(await sameBytes(was, is, end, end, size - end)).toBe(true);
    expect(await sameBytes(was, is, store.start, store.start, store.size)).toBe(false);
    await runProgram('e2fsck', ['-fn', await extract(is, store, product.path('updated.img'))]);
    await runProgram('bmaptool', ['copy', '--bmap', `${is}.bmap`, is, product.path('copied.img')]);
    await runProgram('cmp', [is, product.path('copied.img')]);
    await runProgram('sh', ['-c', `zstd -dc '${is}.zst' | cmp - '${is}'`]);

    const composed = await freshFolder();
    const [fresh] = await product.compose(composed);
    const other = imageOf(fresh!.folder, fresh!.release);
    expect(await sameBytes(is, other, store.start, partition(fresh!.release, 'store').start, store.size)).toBe(true);
  });

  it('takes a compressed image as well, and writes nothing when asked for a plan', async () => {
    const out = await freshFolder();
    const zst = join(old, oldRelease.files.find((file) => file.name.endsWith('.zst'))!.name);
    const made = await updateApps(await open(), zst, { out, dryRun: true });
    expect(made.release).toBeUndefined();
    expect(made.plan.from).toMatch(/\.img\.zst$/);
    expect(await readdir(out)).toEqual([]);
  });

  it('refuses a store that does not fit: its partition keeps its place', async () => {
    const before = await readFile(product.path('boxship.lock'));
    await runProgram('mv', [product.path('images/app'), product.path('images/small')]);
    writeImage(product.path('images/app'), appLayers('large', 30 << 20));
    await product.lock();
    try {
      const out = await freshFolder();
      const error = await refusal(updateApps(await open(), old, { out }));
      expect(error.code).toBe('STORE_FULL');
      expect(error.message).toMatch(/has 24\.0 MiB and keeps its place/);
      expect(await readdir(out)).toEqual([]);
    } finally {
      await runProgram('rm', ['-r', product.path('images/app')]);
      await runProgram('mv', [product.path('images/small'), product.path('images/app')]);
      await writeFile(product.path('boxship.lock'), before);
    }
  });

  it('refuses to take the place of its input', async () => {
    const out = await freshFolder();
    const { folder } = await updateApps(await open(), old, { out });
    const before = await filesBelow(folder);
    expect((await refusal(updateApps(await open(), folder, { out }))).code).toBe('OUTPUT_IS_INPUT');
    expect(await filesBelow(folder)).toEqual(before);
  });
});

describe('rebase', () => {
  it('puts another base under the same store and data, byte for byte', async () => {
    const out = await freshFolder();
    const base = product.path('vendor-2.img');
    const { folder, plan } = await rebase(await open(), old, { base, out });
    const release = await releaseOf(folder);
    await verifyRelease(folder, product.keys.publicKeyPem);
    expect(release.variant.version).toBe('1.0.0');
    expect(release.variant.base).not.toEqual(oldRelease.variant.base);
    expect(release.madeFrom).toMatchObject({ kept: 'apps', version: '1.0.0' });
    expect(plan.rootfs.changes.length).toBeGreaterThan(20); // the new base gets its socket
    const [was, is] = [imageOf(old, oldRelease), imageOf(folder, release)];
    for (const role of ['store', 'data']) {
      const [from, to] = [partition(oldRelease, role), partition(release, role)];
      expect(to.size).toBe(from.size);
      expect(await sameBytes(was, is, from.start, to.start, from.size)).toBe(true);
    }
    expect(await sameBytes(base, is, 1 << 20, 1 << 20, ROOTFS_START - (1 << 20))).toBe(true);
    expect((await runProgram('sgdisk', ['--verify', is])).stdout.toString()).toContain('No problems found.');
    const rootfs = await extract(is, partition(release, 'rootfs'), product.path('rootfs.img'));
    await runProgram('e2fsck', ['-fn', rootfs]);
    const { stdout } = await runProgram('debugfs', ['-R', 'cat /etc/os-release', rootfs]);
    expect(stdout.toString()).toContain('VERSION_ID=2');
    await runProgram('bmaptool', ['copy', '--bmap', `${is}.bmap`, is, product.path('copied.img')]);
    await runProgram('cmp', [is, product.path('copied.img')]);

    const { payload } = release.files[0]!;
    expect(await payloadByTools(is, payload!)).toBe(payload!.digest);
    const digests = (one: Release) => one.files[0]!.payload!.parts.map(({ digest }) => digest);
    expect(digests(release)).toEqual(digests(oldRelease)); // wherever they lie now

    // on the base that it has already, it is the same image again
    const same = await rebase(await open(), old, { base: product.path('vendor.img'), out: await freshFolder() });
    const again = await releaseOf(same.folder);
    await runProgram('cmp', [was, imageOf(same.folder, again)]);
    expect(again.files[0]!.payload).toEqual(oldRelease.files[0]!.payload);
  });

  /** The first bytes of a program for 64-bit little-endian ARM, EM_ARM: 40. */
  const armProgram = '\x7fELF\x02\x01\x01'.padEnd(18, '\0') + '\x28\0'.padEnd(46, '\0');
  it.each([
    ['another processor', 'OTHER_ARCHITECTURE', { files: { 'usr/lib/systemd/systemd': armProgram } }],
    ['another init system', 'INIT_UNSUPPORTED', { files: { 'usr/sbin/init': '-> busybox', 'usr/sbin/busybox': 'x' } }],
    ['no engine', 'ENGINE_MISSING', { files: { 'usr/sbin/dockerd': undefined } }],
  ])('refuses a base with %s', async (_what, code, options) => {
    const base = product.path('strange.img');
    buildTinyBase(base, options);
    const out = await freshFolder();
    expect((await refusal(rebase(await open(), old, { base, out }))).problems.map((one) => one.code)).toContain(code);
    expect(await readdir(out)).toEqual([]);
  });

  it('refuses a base that has a store, or none of a disk, and an older socket than the store needs', async () => {
    const out = await freshFolder();
    const withStore = imageOf(old, oldRelease);
    expect((await refusal(rebase(await open(), old, { base: withStore, out }))).code).toBe('STORE_IN_BASE');
    expect((await refusal(rebase(await open(), old, { base: product.file, out }))).code).toBe('BASE_IMAGE_UNKNOWN');
    const ancient = product.path('ancient.img');
    buildTinyBase(ancient, {
      files: { 'usr/lib/boxship/socket.json': '{ "socketVersion": 0 }\n', 'usr/lib/boxship/socket.env': '' },
    });
    const error = await refusal(rebase(await open(), old, { base: ancient, out }));
    expect(error.message).toContain(`socket of version 0; this store needs version ${socketVersion}`);
    expect(await readdir(out)).toEqual([]);
  });
});

describe.each([
  ['update-apps', (from: string, out: string, progress?: Progress, signal?: AbortSignal) =>
    open(progress).then((one) => updateApps(one, from, { out, ...(signal ? { signal } : {}) }))],
  ['rebase', (from: string, out: string, progress?: Progress, signal?: AbortSignal) =>
    open(progress).then((one) => rebase(one, from, { out, base: product.path('vendor-2.img'), ...(signal ? { signal } : {}) }))],
] as const)('%s', (_name, exchange) => {
  it('refuses a release that somebody changed, or that another key signed', async () => {
    const copy = await freshFolder();
    await runProgram('cp', ['-a', `${old}/.`, copy]);
    const handle = await openFile(imageOf(copy, oldRelease), 'r+');
    await handle.write(Buffer.from('x'), 0, 1, partition(oldRelease, 'store').start + 5000);
    await handle.close();
    const out = await freshFolder();
    expect((await refusal(exchange(copy, out))).code).toBe('WRONG_DIGEST');
    await runProgram('rm', [join(copy, 'release.json')]);
    expect((await refusal(exchange(copy, out))).code).toBe('NO_RELEASE');
    const other = await generateKeyPair({ password: 'x' });
    const error = await refusal(updateApps(await open(), old, { out, publicKeyPem: other.publicKeyPem }));
    expect(error.message).toMatch(/release\.json/);
    expect(await readdir(out)).toEqual([]);
  });

  it.each([
    ['needs a newer socket', 'STORE_TOO_NEW', (json: Record<string, unknown>) => (json['socketVersion'] = 9)],
    ['is of an engine that nobody knows', 'UNKNOWN_ENGINE', (json: Record<string, unknown>) => (json['engine'] = 'ox')],
    ['is none of ours', 'STORE_UNREADABLE', (json: Record<string, unknown>) => (json['kind'] = 'other')],
  ])('refuses a store that %s', async (_what, code, change) => {
    const release = await withStoreJson(change);
    const out = await freshFolder();
    expect((await refusal(exchange(release, out))).code).toBe(code);
    expect(await readdir(out)).toEqual([]);
  });

  it('that is stopped while it writes, or has no room, leaves nothing', async () => {
    const out = await freshFolder();
    const stop = new AbortController();
    const stopAt = (label: string): Progress => ({
      ...silent,
      start(step) {
        if (step === label) stop.abort(new Error('stopped by the test'));
        return silent.start(step);
      },
    });
    await expect(exchange(old, out, stopAt('composing'), stop.signal)).rejects.toThrow('stopped by the test');
    const left = async () => Object.keys(await filesBelow(out));
    expect(await left()).toEqual([]);
    if (process.getuid?.() !== 0) return;
    await runProgram('mount', ['-t', 'tmpfs', '-o', 'size=4096k', 'boxship-test', out]);
    try {
      expect((await refusal(exchange(old, out))).code).toBe('DISK_FULL');
      expect(await left()).toEqual([]);
    } finally {
      await runProgram('umount', ['-l', out]);
    }
  });
}); // prettier-ignore
