import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, inject } from 'vitest';
import { runProgram } from '@boxship/host';
import type { StoreBundle } from '@boxship/compose';
import { buildSampleImages } from '../fixtures/images/build.mjs';
import { checkout, type Release } from './checkouts.ts';
import { WIC_OF } from './wic-of-release.ts';
import { META_BOXSHIP, releaseNames } from './layers-under-test.ts';
import { proof } from './results.ts';

const PROGRAMS = ['mkfs.ext4', 'tune2fs', 'e2fsck', 'fsck.ext4', 'resize2fs', 'dumpe2fs', 'parted', 'sfdisk', 'sgdisk', 'bmaptool', 'dd', 'du', 'mcopy', 'mkdosfs']; // prettier-ignore

/** Newer wic names the sector size, which sfdisk has an option for since 2.40; 512 is what every one takes. */
const SFDISK = (path: string) => `#!/bin/sh
[ "$1 $2" = "--sector-size 512" ] && shift 2
exec ${path} "$@"
`;

async function wicObstacle(): Promise<string | undefined> {
  const missing: string[] = [];
  for (const program of ['parted', 'mkfs.ext4', 'tune2fs', 'sfdisk']) {
    if ((await find(program)) === undefined) missing.push(program);
  }
  return missing.length > 0 ? `wic needs ${missing.join(', ')}: apt-get install parted e2fsprogs fdisk` : undefined;
}

async function find(program: string): Promise<string | undefined> {
  const { code, stdout } = await runProgram('which', [program], { accept: [0, 1] });
  return code === 0 ? stdout.toString().trim() : undefined;
}

const tables = [
  ['qemuarm64', 'gpt'],
  ['qemux86-64', 'dos'],
] as const;

for (const release of releaseNames) {
  for (const [machine, table] of tables) {
    proof(
      `${release}/docker/wic-${table}`,
      {
        release: WIC_OF[release],
        checkouts: ['openembedded-core', 'bitbake'],
        obstacle: wicObstacle,
        inputs: () => [META_BOXSHIP, import.meta.filename, inject('program')],
      },
      async () => {
        const scratch = await mkdtemp(join(tmpdir(), 'boxship-wic-'));
        try {
          return await storeInWicImage(scratch, release, machine, table);
        } finally {
          await rm(scratch, { recursive: true, force: true });
        }
      },
    );
  }
}

/** `boxship store`, `boxship layer`, oe-core's own wic with the generated wks file, and what is in the image then. */
async function storeInWicImage(
  scratch: string,
  release: (typeof releaseNames)[number],
  machine: string,
  table: 'gpt' | 'dos',
) {
  const at = (name: string) => join(scratch, name);
  const boxship = async (...args: string[]) =>
    await runProgram(process.execPath, [inject('program'), ...args, '-f', at('boxship.yaml')], {
      cwd: scratch,
      env: { BOXSHIP_CACHE: at('cache'), COSIGN_PASSWORD: 'a test' },
      accept: [0, 1],
    });
  buildSampleImages({ folder: at('images'), version: '1.0' });
  const image = 'registry.example.com/acme/gateway:1.0';
  await writeFile(at('compose.yaml'), `services:\n  gateway:\n    image: ${image}\n`);
  const product = (base: string) => `apiVersion: boxship/v1
product: acme-gateway
version: 1.4.0
machines: { ${machine}: { ${base} } }
apps: { gateway: { compose: ./compose.yaml } }
images: { "${image}": { from: "oci:./images/gateway" } }
variants: { pro: { apps: [gateway] } }
signing: { key: ./release.key }
yocto: { release: ${release}, maintainer: Jane Doe <jane@acme.example>, bundle: build }
`;
  await writeFile(at('boxship.yaml'), product(''));
  await runProgram(
    process.execPath,
    [inject('program'), 'keygen', '--development', '--output-key-prefix', at('release')],
    {
      cwd: scratch,
      env: { COSIGN_PASSWORD: 'a test' },
    },
  );
  for (const args of [['lock'], ['store'], ['layer', '--out', at('layers')]]) {
    const { code, stderr } = await boxship(...args);
    expect({ args, code, stderr: code === 0 ? '' : stderr }).toEqual({ args, code: 0, stderr: '' });
  }

  const bundle = at(`store/acme-gateway-1.4.0/${machine}-docker-pro`);
  const name = `acme-gateway-1.4.0-${machine}-pro`;
  const { partitions } = JSON.parse(await readFile(join(bundle, `${name}.store.json`), 'utf8')) as StoreBundle;
  const recipe = await findFile(at('layers'), /-bundle-pro.*\.bb$/);
  const text = await readFile(recipe, 'utf8');
  expect(text).toContain(partitions.store.digest.slice('sha256:'.length));
  expect(text).toContain(partitions.data.digest.slice('sha256:'.length));

  const disk = await createWithWic(
    WIC_OF[release],
    scratch,
    bundle,
    await findFile(at('layers'), new RegExp(`${machine}\\.wks\\.in$`)),
  );
  const { stdout } = await runProgram('sfdisk', ['--json', disk]);
  const found = (JSON.parse(stdout.toString()) as { partitiontable: PartitionTable }).partitiontable;
  expect(found.label).toBe(table);
  const [store, data] = found.partitions.slice(-2);
  for (const [partition, { digest, size, name: label }] of [
    [store!, partitions.store],
    [data!, partitions.data],
  ] as const) {
    if (table === 'gpt') expect(partition.name).toBe(label);
    expect(partition.type.toUpperCase()).toBe(table === 'gpt' ? '0FC63DAF-8483-4772-8E79-3D69D8477DE4' : '83');
    expect(partition.size * 512).toBe(size);
    expect((partition.start * 512) % (4 * 1024 * 1024)).toBe(0);
    expect(await digestOf(disk, partition.start * 512, size)).toBe(digest);
  }

  // and compose does not put a second store beside it
  await writeFile(at('boxship.yaml'), product(`base: ${disk}`));
  const locked = await boxship('lock');
  const refused = locked.code === 0 ? await boxship('plan') : locked;
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('"boxship-store": it has its containers already');
  return {
    partitions: found.partitions.length,
    store: partitions.store.digest.slice(0, 19),
    table,
    wic: WIC_OF[release],
  };
}

interface PartitionTable {
  readonly label: string;
  readonly partitions: readonly {
    readonly start: number;
    readonly size: number;
    readonly type: string;
    readonly name?: string;
  }[];
}

/**
 * Runs wic as image_types_wic.bbclass does, on a small root file system and with this machine's programs. Partitions of a
 * bootloader are left out: what is in them comes from recipes that are not built here.
 */
async function createWithWic(wicRelease: Release, scratch: string, bundle: string, wks: string): Promise<string> {
  const at = (name: string) => join(scratch, 'wic', name);
  for (const folder of ['rootfs/etc', 'rootfs/usr/lib/systemd', 'rootfs/usr/bin', 'rootfs/usr/sbin', 'boot', 'native/usr/bin', 'vars', 'build/conf']) {
    await mkdir(at(folder), { recursive: true });
  } // prettier-ignore
  await writeFile(at('rootfs/etc/os-release'), 'ID=poky\nVERSION_ID=5.0\n');
  await writeFile(at('rootfs/usr/lib/systemd/systemd'), '');
  await writeFile(at('rootfs/usr/lib/systemd/libsystemd-shared-255.so'), '');
  await symlink('../lib/systemd/systemd', at('rootfs/usr/sbin/init'));
  for (const link of ['bin', 'sbin', 'lib']) await symlink(`usr/${link}`, at(`rootfs/${link}`));
  for (const program of ['docker', 'openssl', 'resize2fs', 'sfdisk']) {
    await writeFile(at(`rootfs/usr/bin/${program}`), '#!/bin/true\n', { mode: 0o755 });
  }
  const daemon = 'path github.com/docker/docker -X dockerversion.Version=25.0.9 \n';
  await writeFile(at('rootfs/usr/bin/dockerd'), daemon, { mode: 0o755 });
  for (const program of PROGRAMS) {
    const path = await find(program);
    if (path === undefined) continue;
    if (program === 'sfdisk') await writeFile(at('native/usr/bin/sfdisk'), SFDISK(path), { mode: 0o755 });
    else await symlink(path, at(`native/usr/bin/${program}`));
  }
  const lines = (await readFile(wks, 'utf8')).split('\n');
  const kept = lines.filter((line) => !/--source bootimg/.test(line));
  await writeFile(at('image.wks'), kept.join('\n').replace(/^part \/boot .*$/gm, ''));
  const variables = {
    IMAGE_ROOTFS: at('rootfs'), STAGING_DATADIR: at('boot'), DEPLOY_DIR_IMAGE: bundle, RECIPE_SYSROOT_NATIVE: at('native'),
    IMAGE_BASENAME: 'image', MACHINE: 'any', HOSTTOOLS_DIR: at('native'), ROOTFS_SIZE: '20000', FAKEROOTCMD: 'env',
  }; // prettier-ignore
  const env = Object.entries(variables).map(([name, value]) => `${name}="${value}"\n`);
  await writeFile(at('vars/image.env'), env.join(''));
  const wic = join(checkout(wicRelease, 'openembedded-core'), 'scripts/wic');
  await runProgram('python3', [wic, 'create', at('image.wks'), '--vars', at('vars'), '-e', 'image', '-o', at('out')], {
    cwd: at(''),
    env: { BUILDDIR: at('build'), PYTHONPATH: join(checkout(wicRelease, 'bitbake'), 'lib') },
  });
  const made = (await readdir(at('out'))).find((file) => file.endsWith('.direct'));
  return at(`out/${made!}`);
}

async function findFile(folder: string, pattern: RegExp): Promise<string> {
  const names = await readdir(folder, { recursive: true });
  const found = names.filter((name) => pattern.test(name) && existsSync(join(folder, name)));
  expect(found).toHaveLength(1);
  return join(folder, found[0]!);
}

/** By tools that are not ours. */
async function digestOf(path: string, start: number, size: number): Promise<string> {
  const script = 'tail -c +"$2" "$1" | head -c "$3" | sha256sum';
  const { stdout } = await runProgram('sh', ['-c', script, 'sh', path, String(start + 1), String(size)]);
  return `sha256:${stdout.toString().slice(0, 64)}`;
}
