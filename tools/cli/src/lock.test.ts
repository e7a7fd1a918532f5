import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { syntheticLayer } from '@boxship/image-layers';
import { mediaTypes, startTestRegistry, writeOciLayout, type TestRegistry } from '@boxship/oci';
import { buildProgram, PRODUCT, type BuiltProgram } from './testing/built-program.ts';

let program: BuiltProgram;
let registry: TestRegistry;
beforeAll(async () => {
  program = await buildProgram();
  registry = await startTestRegistry();
});
afterAll(async () => {
  await registry.close();
  await program[Symbol.asyncDispose]();
});

/** Lets the tag acme/app:1 of the registry mean another image. */
async function push(seed: number): Promise<void> {
  const folder = join(program.folder, `layout-${seed}`);
  const layers = [{ blob: syntheticLayer({ files: 20, fileSize: 2000, seed }), mediaType: mediaTypes.ociLayerTar }];
  await writeOciLayout(folder, [
    { reference: 'acme/app:1', platform: { os: 'linux', architecture: 'amd64' }, layers },
    { reference: 'acme/app:1', platform: { os: 'linux', architecture: 'arm64' }, layers },
  ]);
  await registry.addLayout(folder, 'acme/app');
}

async function writeProduct(): Promise<string> {
  await program.write('vendor.img', 'a base image; lock only takes its digest');
  await program.write('compose.yaml', `services: { app: { image: '${registry.host}/acme/app:1' } }\n`);
  return await program.write('boxship.yaml', PRODUCT.replace(/^images:\n.*\n/m, ''));
}

const lock = (...args: string[]) => program.run(['lock', '--json', '--quiet', ...args]);
const lockFile = () => readFile(join(program.folder, 'boxship.lock'), 'utf8');
const emptyCache = () => rm(program.env['BOXSHIP_CACHE']!, { recursive: true });

describe('lock', () => {
  it('pins what the tag means today; --frozen keeps to it wherever the tag goes', async () => {
    await writeProduct();
    await push(1);
    const first = await lock();
    expect({ code: first.code, stderr: first.stderr }).toEqual({ code: 0, stderr: '' });
    const locked = await lockFile();
    expect((JSON.parse(first.stdout) as { lock: object }).lock).toEqual(JSON.parse(locked));

    await push(2);
    await emptyCache();
    expect(await lock('--frozen')).toMatchObject({ code: 0, stderr: '' });
    expect(await lockFile()).toBe(locked);

    expect((await lock()).code).toBe(0);
    expect(await lockFile()).not.toBe(locked);
  });

  it('--frozen asks nobody when the cache is full', async () => {
    await writeProduct();
    await push(1);
    await lock();
    const asked = registry.requests.length;
    expect((await lock('--frozen')).code).toBe(0);
    expect(registry.requests.length).toBe(asked);
  });

  it('--frozen refuses a base image and a product that are not what was locked', async () => {
    await writeProduct();
    await push(1);
    await lock();
    const locked = await lockFile();
    await program.write('vendor.img', 'another base image');
    const base = await program.run(['lock', '--frozen']);
    expect(base.code).toBe(1);
    expect(base.stderr).toMatch(/^error: the base image \.\/vendor\.img has the digest sha256:/m);

    await writeProduct();
    await program.write('compose.yaml', `services: { app: { image: '${registry.host}/acme/app:2' } }\n`);
    const product = await program.run(['lock', '--frozen']);
    expect(product.code).toBe(1);
    expect(product.stderr).toMatch(/^error: compose\.yaml:1:\d+: the image .*\/acme\/app:2 for linux\/amd64 is not in boxship\.lock$/m); // prettier-ignore
    expect(await lockFile()).toBe(locked);
  });

  it('asks a mirror first, and refuses what is no mirror', async () => {
    await push(1);
    await program.write('vendor.img', 'a base image');
    await program.write('compose.yaml', 'services: { app: { image: "registry.invalid/acme/app:1" } }\n');
    await program.write('boxship.yaml', PRODUCT.replace(/^images:\n.*\n/m, ''));
    expect(await lock('--registry-mirror', `registry.invalid=${registry.url}`)).toMatchObject({ code: 0 });
    const { code, stdout } = await lock('--registry-mirror', 'registry.invalid');
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ error: { problems: [{ code: 'BAD_MIRROR' }] } });
  });

  it('says which file cannot be used as a CA', async () => {
    await emptyCache();
    const { code, stderr } = await program.run(['lock', '--ca', 'nowhere.pem']);
    expect(code).toBe(1);
    expect(stderr).toContain('nowhere.pem cannot be read');
  });
});
