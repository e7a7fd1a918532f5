import { mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openProduct, verifyRelease, type Release } from '@boxship/compose';
import { runProgram, silent } from '@boxship/host';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { updaterCommand } from '../lab/updaters.mjs';
import { fearProduct, filesBelow, refusal, type FearProduct } from './fear-product.ts';

// What updaters make of the files for them: RAUC 1.8 and 1.13, SWUpdate 2022.12, mender-artifact 3.9, openssl.

let product: FearProduct;
let folder = '';
let release: Release;
const ARTIFACTS = `artifacts:
  - raw
  - rauc
  - rauc: { bundle: plain, compatible: Acme Board }
  - rauc: { content: both }
  - swupdate
  - swupdate: { content: both, compression: zstd, rootfsDevice: /dev/null }
  - mender
  - mender: { content: system, compression: none }
`;
const STEM = 'acme-1.0.0-tiny-basic';

beforeAll(async () => {
  product = await fearProduct({ yaml: (text) => text + ARTIFACTS });
  await product.lock();
  const [composed] = await product.compose();
  folder = composed!.folder;
  release = composed!.release;
});
afterAll(() => product[Symbol.asyncDispose]());

const file = (name: string) => join(folder, `${STEM}.${name}`);
const certificate = () => file('updates.pem');

async function run(tool: { suite: string; package: string }, args: readonly string[], accept = [0]) {
  const { command, args: before } = await updaterCommand(tool);
  const { code, stdout, stderr } = await runProgram(command, [...before, ...args], { cwd: product.folder, accept });
  return { code, said: stdout.toString() + stderr };
}

/** The partition of the composed image, as a file. */
async function partitionFile(role: 'store' | 'rootfs'): Promise<string> {
  const { start, size } = release.partitions.find((one) => one.role === role)!;
  const to = product.path(`${role}.img`);
  await runProgram('dd', [`if=${file('img')}`, `of=${to}`, 'bs=1M', 'iflag=skip_bytes,count_bytes', `skip=${start!}`, `count=${size}`, 'status=none']); // prettier-ignore
  return to;
}

/** A copy of a file with one byte changed. */
async function damaged(name: string, at: number): Promise<string> {
  const bytes = await readFile(file(name));
  bytes[at < 0 ? bytes.length + at : at]! ^= 1;
  const to = product.path('damaged');
  await writeFile(to, bytes);
  return to;
}

describe('a release for updaters', () => {
  it('is verified, holds nothing else, and is the same bytes when it is made again', async () => {
    await verifyRelease(folder, product.keys.publicKeyPem);
    expect(release.files.map(({ name }) => name).sort()).toEqual(
      ['apps.mender', 'apps.plain.raucb', 'apps.raucb', 'apps.swu', 'both.raucb', 'both.swu', 'img', 'img.bmap', 'system.mender', 'updates.pem'].map((name) => `${STEM}.${name}`),
    ); // prettier-ignore
    const umask = process.umask(0o077);
    try {
      const [again] = await product.compose(product.path('again'));
      expect(again!.release.files).toEqual(release.files);
    } finally {
      process.umask(umask);
    }
  });

  it('has a certificate of the product key that openssl takes', async () => {
    const { stdout } = await runProgram('openssl', ['x509', '-in', certificate(), '-noout', '-subject', '-ext', 'keyUsage,extendedKeyUsage,basicConstraints']); // prettier-ignore
    expect(stdout.toString()).toMatch(/CN = acme updates[^]*CA:FALSE[^]*Digital Signature[^]*E-mail Protection/);
    await runProgram('openssl', ['verify', '-CAfile', certificate(), '-x509_strict', '-purpose', 'smimesign', certificate()]); // prettier-ignore
  });
});

describe.each(['bookworm', 'trixie'])('RAUC of %s', (suite) => {
  const rauc = (args: readonly string[], accept = [0]) => run({ suite, package: 'rauc' }, args, accept);

  it.each([
    ['apps.raucb', 'acme-tiny', 'verity', { 'boxship-store.ext4': 'store' }],
    ['apps.plain.raucb', 'Acme Board', 'plain', { 'boxship-store.ext4': 'store' }],
    ['both.raucb', 'acme-tiny', 'verity', { 'rootfs.ext4': 'rootfs', 'boxship-store.ext4': 'store' }],
  ] as const)('takes %s and finds the partitions in it', async (name, compatible, format, images) => {
    const info = await rauc(['info', `--keyring=${certificate()}`, '--output-format=json', file(name)]);
    const told = JSON.parse(/^\{.*\}$/m.exec(info.said)![0]) as {
      compatible: string;
      version: string;
      format?: string;
      images: readonly Record<string, { filename: string; size: number }>[];
    };
    expect(told).toMatchObject({ compatible, version: '1.0.0' });
    expect(told.images.flatMap((one) => Object.values(one).map(({ filename }) => filename))).toEqual(
      Object.keys(images),
    );
    expect(info.said).toMatch(/Verified (inline|detached) signature by 'CN ?= ?acme updates'/);
    if (told.format !== undefined) expect(told.format).toBe(format);
    const to = product.path(`extracted-${suite}`);
    await rm(to, { recursive: true, force: true });
    await rauc(['extract', `--keyring=${certificate()}`, file(name), to]);
    for (const [inside, role] of Object.entries(images)) {
      await runProgram('cmp', [join(to, inside), await partitionFile(role as 'store' | 'rootfs')]);
    }
  });

  it('refuses a bundle that was changed, cut off, or is of another key', async () => {
    const extract = async (bundle: string, keyring = certificate()) => {
      await rm(product.path('out'), { recursive: true, force: true });
      return await rauc(['extract', `--keyring=${keyring}`, bundle, product.path('out')], [0, 1]);
    };
    expect((await extract(await damaged('apps.plain.raucb', 5000))).code).toBe(1);
    expect((await extract(await damaged('apps.raucb', -200))).code).toBe(1);
    await runProgram('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', product.path('other.key'), '-out', product.path('other.pem'), '-subj', '/CN=other']); // prettier-ignore
    expect((await extract(file('apps.raucb'), product.path('other.pem'))).code).toBe(1);
  });
});

describe('dm-verity', () => {
  it('accepts the hash tree (veritysetup)', async () => {
    const { command, args } = await updaterCommand({ suite: 'bookworm', package: 'rauc' });
    const dump = await runProgram(command, [...args, 'info', `--keyring=${certificate()}`, '--dump-cert', file('both.raucb')]); // prettier-ignore
    const [, salt] = /Verity Salt:\s+'([0-9a-f]+)'/.exec(dump.stdout.toString()) ?? [];
    const [, root] = /Verity Hash:\s+'([0-9a-f]+)'/.exec(dump.stdout.toString()) ?? [];
    const [, tree] = /Verity Size:\s+(\d+)/.exec(dump.stdout.toString()) ?? [];
    expect([salt?.length, root?.length]).toEqual([64, 64]);
    const bytes = await readFile(file('both.raucb'));
    const signature = Number(bytes.readBigUInt64BE(bytes.length - 8));
    const data = bytes.length - 8 - signature - Number(tree);
    const [image, hashes] = [product.path('verity.data'), product.path('verity.hash')];
    await writeFile(image, bytes.subarray(0, data));
    await writeFile(hashes, bytes.subarray(data, data + Number(tree)));
    const verity = await updaterCommand({
      suite: 'bookworm',
      package: 'cryptsetup-bin',
      program: '../../sbin/veritysetup',
    });
    const words = ['verify', image, hashes, root!, '--no-superblock', '--data-block-size=4096', '--hash-block-size=4096', '--hash=sha256', `--salt=${salt!}`, '--format=1', `--data-blocks=${data / 4096}`]; // prettier-ignore
    await runProgram(verity.command, [...verity.args, ...words]);
    bytes[4096] = bytes[4096]! ^ 1;
    await writeFile(image, bytes.subarray(0, data));
    expect((await runProgram(verity.command, [...verity.args, ...words], { accept: [0, 1, 2] })).code).not.toBe(0);
  });
});

describe('SWUpdate', () => {
  const swupdate = (args: readonly string[], accept = [0]) =>
    run({ suite: 'bookworm', package: 'swupdate' }, args, accept);
  const check = (path: string, accept = [0], key = certificate(), hardware = 'board:1.0') =>
    swupdate(['-c', '-i', path, '-k', key, '-H', hardware], accept);

  it.each(['apps.swu', 'both.swu'])('takes %s; cpio finds its files where SWUpdate wants them', async (name) => {
    await check(file(name));
    const { stdout } = await runProgram('sh', ['-c', `cpio -t --only-verify-crc <'${file(name)}'`]);
    expect(stdout.toString()).toMatch(/^sw-description\nsw-description\.sig\n/);
  });

  it('refuses one that was changed, is signed by another, or is for other hardware', async () => {
    const { size } = await stat(file('apps.swu'));
    for (const at of [300, Math.floor(size / 2)]) {
      const { code } = await check(await damaged('apps.swu', at), [0, 1]);
      expect(code, `a byte at ${at}`).toBe(1);
    }
    await runProgram('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', product.path('other.key'), '-out', product.path('other.pem'), '-subj', '/CN=other']); // prettier-ignore
    expect((await check(file('apps.swu'), [0, 1], product.path('other.pem'))).code).toBe(1);
    expect((await check(file('apps.swu'), [0, 1], certificate(), 'board:2.0')).code).toBe(1);
  });

  it('installs the store and the rootfs, byte for byte', async () => {
    // files stand for the partitions: the .swu of this test names them as its devices
    const devices = { store: '/dev/shm/boxship-test-store', rootfs: '/dev/shm/boxship-test-rootfs' };
    const artifact = `swupdate: { content: both, storeDevice: ${devices.store}, rootfsDevice: ${devices.rootfs} }`;
    const other = await fearProduct({ yaml: (text) => `${text}artifacts: [${artifact}]\n` });
    try {
      await other.lock();
      const [made] = await other.compose();
      for (const [role, device] of Object.entries(devices)) {
        const { size } = made!.release.partitions.find((one) => one.role === role)!;
        await runProgram('truncate', ['-s', String(size), device]);
      }
      const [swu, pem] = ['both.swu', 'updates.pem'].map((name) => join(made!.folder, `${STEM}.${name}`));
      await swupdate(['-i', swu!, '-k', pem!, '-H', 'board:1.0']);
      for (const [role, device] of Object.entries(devices))
        await runProgram('cmp', [device, await partitionFile(role as 'store' | 'rootfs')]);
    } finally {
      for (const device of Object.values(devices)) await rm(device, { force: true });
      await other[Symbol.asyncDispose]();
    }
  });
});

describe('mender-artifact', () => {
  /** It tells what is wrong with other codes than 1, too. */
  const REFUSED = [0, 1, 2, 3, 4];
  const mender = (args: readonly string[], accept = [0]) => run({ suite: 'bookworm', package: 'mender-artifact' }, args, accept); // prettier-ignore

  it('validates both, with the public key, and reads what they are for', async () => {
    for (const name of ['apps.mender', 'system.mender'])
      await mender(['validate', '-k', product.path('release.pub'), file(name)]);
    const apps = (await mender(['read', '-k', product.path('release.pub'), file('apps.mender')])).said;
    expect(apps).toMatch(/Name: acme-1\.0\.0-basic-apps[^]*Format: mender[^]*Version: 3[^]*Signature: signed and verified correctly[^]*Compatible devices: '?\[tiny\]/); // prettier-ignore
    expect(apps).toMatch(/Type:\s+boxship-store[^]*boxship-store\.version: 1\.0\.0/);
    const system = (await mender(['read', '-k', product.path('release.pub'), file('system.mender')])).said;
    expect(system).toMatch(/Type:\s+rootfs-image[^]*rootfs-image\.checksum/);
  });

  it('finds the partitions in them', async () => {
    for (const [name, role, inside] of [
      ['apps.mender', 'store', 'boxship-store.ext4'],
      ['system.mender', 'rootfs', 'rootfs.ext4'],
    ] as const) {
      const to = product.path(`mender-${role}`);
      await mkdir(to);
      await runProgram('tar', ['-C', to, '-xf', file(name)]);
      const [data] = await readdir(join(to, 'data'));
      await runProgram('tar', ['-C', to, '-xf', join(to, 'data', data!)]);
      await runProgram('cmp', [join(to, inside), await partitionFile(role)]);
    }
  });

  it('refuses one that was changed or is of another key', async () => {
    const { size } = await stat(file('apps.mender'));
    const changed = await damaged('apps.mender', Math.floor(size / 2));
    expect((await mender(['validate', '-k', product.path('release.pub'), changed], REFUSED)).code).not.toBe(0);
    await runProgram('openssl', [
      'ecparam',
      '-name',
      'prime256v1',
      '-genkey',
      '-noout',
      '-out',
      product.path('other.key'),
    ]);
    await runProgram('openssl', ['ec', '-in', product.path('other.key'), '-pubout', '-out', product.path('other.pub')]);
    expect((await mender(['validate', '-k', product.path('other.pub'), file('apps.mender')], REFUSED)).code).not.toBe(
      0,
    );
  });
});

describe('a certificate of the product', () => {
  it('that a CA has issued signs the updates; one of another key, or none, is refused before anything is written', async () => {
    const openssl = (...args: string[]) => runProgram('openssl', args, { cwd: product.folder });
    await openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=Acme CA'); // prettier-ignore
    await openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'leaf.key', '-out', 'leaf.csr', '-subj', '/CN=Acme Updates'); // prettier-ignore
    await writeFile(product.path('leaf.ext'), 'keyUsage=digitalSignature\nextendedKeyUsage=emailProtection\n');
    await openssl('x509', '-req', '-in', 'leaf.csr', '-force_pubkey', 'release.pub', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'leaf.ext', '-out', 'leaf.pem'); // prettier-ignore
    await product.edit('boxship.yaml', (text) =>
      text.replace('./release.key }', './release.key, certificate: ./leaf.pem }'),
    );
    const out = product.path('with-ca');
    const [made] = await product.compose(out);
    const bundle = join(made!.folder, `${STEM}.apps.raucb`);
    const { said } = await run({ suite: 'trixie', package: 'rauc' }, [
      'info',
      `--keyring=${product.path('ca.pem')}`,
      bundle,
    ]);
    expect(said).toMatch(/Verified inline signature by 'CN ?= ?Acme Updates'/);
    await run({ suite: 'bookworm', package: 'swupdate' }, ['-c', '-i', join(made!.folder, `${STEM}.apps.swu`), '-k', product.path('ca.pem'), '-H', 'board:1.0']); // prettier-ignore
    await rm(out, { recursive: true });

    await openssl('x509', '-req', '-in', 'leaf.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-out', 'leaf.pem'); // prettier-ignore
    expect((await refusal(product.plan())).message).toMatch(/certificate of the signing key is of another key/);
    expect((await refusal(product.compose(out))).code).toBe('BAD_CERTIFICATE');
    expect(await filesBelow(out)).toEqual({});
    await rm(product.path('leaf.pem'));
    const open = openProduct(product.file, { cache: product.cache, progress: silent, version: '0' });
    expect((await refusal(open)).code).toBe('NO_CERTIFICATE');

    await product.edit('boxship.yaml', (text) => text.replace(', certificate: ./leaf.pem', ''));
    await openssl('genrsa', '-out', 'rsa.key', '2048');
    await openssl('rsa', '-in', 'rsa.key', '-pubout', '-out', 'release.pub');
    expect((await refusal(product.plan())).message).toMatch(/signed with ECDSA on P-256, the key is rsa/);
  });
});
