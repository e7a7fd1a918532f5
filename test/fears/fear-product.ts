import { rmSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createLock, readApps, readProductFile, writeLock, type Lock } from '@boxship/catalog';
import { composeProduct, openProduct, planProduct, type ComposedVariant, type VariantPlan } from '@boxship/compose';
import { openCache, runProgram, silent, type Cache } from '@boxship/host';
import { UserError } from '@boxship/model';
import { fileDownloads } from '@boxship/oci';
import { DEVELOPMENT, generateKeyPair, type KeyPair } from 'cosign-node-binding';
import { expect } from 'vitest';
import { createLayout } from '../fixtures/images/oci-layout.mjs';
import { writeTar } from '../fixtures/images/tar-writer.mjs';
import { buildTinyBase, type TinyBaseOptions } from '../fixtures/tiny-base/build.mjs';

/** An entry of a layer, as `writeTar` takes it. */
export interface LayerEntry {
  readonly name: string | Buffer;
  readonly type?: 'file' | 'link' | 'symlink' | 'char' | 'block' | 'directory' | 'fifo';
  readonly mode?: number;
  readonly body?: Buffer;
  readonly target?: string;
  readonly device?: readonly [number, number];
}

export interface FearProductOptions {
  /** Layers of the image `registry.example.com/acme/app:1`, bottom first: entries, or the bytes of a tar. */
  readonly layers?: readonly (readonly LayerEntry[] | Buffer)[];
  /** Of the layers; gzip by default. */
  readonly compression?: 'gzip' | 'zstd' | 'none';
  readonly base?: TinyBaseOptions;
  /** Changes of boxship.yaml before it is written. */
  readonly yaml?: (text: string) => string;
  /** Where the product lies; a folder of its own below the system's temporary folder by default. */
  readonly folder?: string;
}

/** A small product with everything that it needs, for tests that break one thing of it. */
export interface FearProduct extends AsyncDisposable {
  readonly folder: string;
  /** boxship.yaml */
  readonly file: string;
  readonly cache: Cache;
  readonly out: string;
  readonly keys: KeyPair;
  path(name: string): string;
  write(name: string, content: string | Uint8Array): Promise<void>;
  edit(name: string, change: (text: string) => string): Promise<void>;
  lock(): Promise<Lock>;
  plan(): Promise<readonly VariantPlan[]>;
  compose(out?: string): Promise<readonly ComposedVariant[]>;
  /** Files below the output folder and their digests; hidden ones too. */
  outputs(): Promise<Readonly<Record<string, string>>>;
}

export const IMAGE = 'registry.example.com/acme/app:1';
export const PASSWORD = 'not a secret';

export const PRODUCT = `apiVersion: boxship/v1
product: acme
version: 1.0.0
machines:
  tiny: { base: ./vendor.img, platform: linux/amd64 }
apps:
  app: { compose: ./app/compose.yaml }
images:
  ${IMAGE}: { from: "oci:./images/app:1" }
variants:
  basic: { apps: [app] }
data: { size: 8MiB }
signing: { key: ./release.key }
`;

const COMPOSE_FILE = `services:
  app:
    image: ${IMAGE}
`;

/** A layer of about 1.5 MiB that does not compress, and some small files. */
export const GOOD_LAYERS: readonly (readonly LayerEntry[])[] = [
  [
    { name: 'bin/', type: 'directory', mode: 0o755 },
    { name: 'bin/app', mode: 0o755, body: noise(1536 * 1024) },
  ],
  [
    { name: 'etc/app.conf', mode: 0o644, body: Buffer.from('colour = blue\n') },
    { name: 'bin/link', type: 'link', target: 'etc/app.conf' },
  ],
];

let keyPair: Promise<KeyPair> | undefined;

export async function fearProduct(options: FearProductOptions = {}): Promise<FearProduct> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'boxship-fear-')));
  const path = (name: string) => join(folder, name);
  const write = async (name: string, content: string | Uint8Array) => {
    await mkdir(dirname(path(name)), { recursive: true });
    await writeFile(path(name), content);
  };
  const keys = await (keyPair ??= generateKeyPair({ password: PASSWORD, metadata: DEVELOPMENT }));
  await write('release.key', keys.privateKeyPem);
  await write('release.pub', keys.publicKeyPem);
  await write('boxship.yaml', (options.yaml ?? ((text) => text))(PRODUCT));
  await write('app/compose.yaml', COMPOSE_FILE);
  await putBase(path('vendor.img'), options.base);
  writeImage(path('images/app'), options.layers ?? GOOD_LAYERS, ['amd64'], options.compression);
  process.env['COSIGN_PASSWORD'] = PASSWORD;

  const file = path('boxship.yaml');
  const cache = openCache(path('cache'));
  const open = () => openProduct(file, { cache, progress: silent, version: '0.0.0-test' });
  return {
    folder,
    file,
    cache,
    out: path('deploy'),
    keys,
    path,
    write,
    edit: async (name, change) => await writeFile(path(name), change(await readFile(path(name), 'utf8'))),
    async lock() {
      const product = await readProductFile(file);
      await using downloads = fileDownloads({ attempts: 2, backoff: 1 });
      const lock = await createLock(product, readApps(product, silent), {
        cache,
        progress: silent,
        downloads,
        registry: () => Promise.reject(new Error('no registry in this test')),
      });
      await writeLock(file, lock);
      return lock;
    },
    plan: async () => await planProduct(await open()),
    compose: async (out = path('deploy')) => await composeProduct(await open(), {}, { out }),
    outputs: () => filesBelow(path('deploy')),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** An OCI layout at `folder` that offers one image as `1`, for these platforms. */
export function writeImage(
  folder: string,
  layers: readonly (readonly LayerEntry[] | Buffer)[],
  architectures: readonly string[] = ['amd64'],
  compression: 'gzip' | 'zstd' | 'none' = 'gzip',
): void {
  const layout = createLayout(folder);
  const images = architectures.map((architecture) => {
    const platform = { os: 'linux', architecture };
    const tars = layers.map((layer) => {
      return { tar: Buffer.isBuffer(layer) ? layer : writeTar(layer), compression, comment: 'test' };
    });
    return { ...layout.addImage({ layers: tars, config: { Entrypoint: ['/bin/app'] }, platform }), platform };
  });
  layout.tag('1', images.length === 1 ? images[0] : layout.addIndex(images));
  layout.close();
}

const bases = new Map<string, string>();

/** Making a file system takes half a second: each kind is made once for a test file. */
async function putBase(file: string, options: TinyBaseOptions = {}): Promise<void> {
  const kind = JSON.stringify(options, (_key, value: unknown) => (value === undefined ? null : value));
  let made = bases.get(kind);
  if (!made) {
    const scratch = await mkdtemp(join(tmpdir(), 'boxship-fear-base-'));
    process.once('exit', () => rmSyncQuietly(scratch));
    made = join(scratch, 'vendor.img');
    buildTinyBase(made, options);
    bases.set(kind, made);
  }
  await mkdir(dirname(file), { recursive: true });
  await copyFile(made, file);
}

export async function filesBelow(folder: string): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {};
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries.filter((one) => one.isFile())) {
    const path = join(entry.parentPath, entry.name);
    found[relative(folder, path)] = createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
  }
  return found;
}

/** The UserError that the work ends with; anything else fails the test. */
export async function refusal(work: Promise<unknown>): Promise<UserError> {
  return await work.then(
    () => expect.fail('no error'),
    (error: unknown) => {
      if (error instanceof UserError) return error;
      throw error;
    },
  );
}

/** Bytes that do not compress, the same each time. */
export function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let at = 0; at + 4 <= length; at += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes.writeUInt32LE((state ^ (state >>> 15)) >>> 0, at);
  }
  return bytes;
}

/** boxship.mjs as users have it; built once for a test file. */
export async function builtProgram(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'boxship-fear-bin-'));
  process.once('exit', () => rmSyncQuietly(folder));
  await runProgram(process.execPath, [fileURLToPath(new URL('../../tools/cli/build.mjs', import.meta.url)), folder]);
  await chmod(folder, 0o755); // other users run it, too
  return join(folder, 'boxship.mjs');
}

/** Environment of a run of boxship.mjs on a product. */
export function environmentOf(product: FearProduct): Record<string, string> {
  return { BOXSHIP_CACHE: product.cache.root, COSIGN_PASSWORD: PASSWORD };
}

export async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

/** Nothing in the output folder may be taken for a release: neither whole nor without its hidden name. */
export async function looksWhole(product: FearProduct): Promise<readonly string[]> {
  const files = Object.keys(await product.outputs());
  return files.filter((file) => !file.split('/').some((part) => part.startsWith('.') && part.endsWith('.partial')));
}

function rmSyncQuietly(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}
