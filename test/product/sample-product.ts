import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import type { Release } from '@boxship/compose';
import { buildSampleImages } from '../fixtures/images/build.mjs';

/** Of the development key that signs the sample products. */
export const PASSWORD = 'a test';
export const MACHINE = 'qemux86-64';

export interface SampleProduct {
  readonly program: string;
  /** Holds the product file, its inputs, its cache and what was composed. */
  readonly folder: string;
  readonly publicKey: string;
}

/**
 * A product of two sample apps with everything it needs in `folder`: `basic` has gateway, `pro` adds hmi. The app of
 * another `version` has the same names, so that its store fits the same device. `keys`: folder of another sample product
 * that signs with the same key.
 */
export async function makeSampleProduct(options: {
  readonly program: string;
  readonly folder: string;
  readonly base: string;
  readonly version?: string;
  readonly keys?: string;
  /** Default: MACHINE, as the catalogue has it. */
  readonly machine?: string;
  /** Default: docker; the base must have it. */
  readonly engine?: string;
  /** Services have the network of the device, for an engine that makes none. */
  readonly hostNetwork?: boolean;
  /** Layers that today's tools trip over: zstd, sparse entries. */
  readonly traps?: boolean;
}): Promise<SampleProduct> {
  const { program, folder, version = '1.0' } = options;
  const write = async (name: string, text: string) => {
    await mkdir(join(folder, name, '..'), { recursive: true });
    await writeFile(join(folder, name), text);
  };
  const traps = options.traps ?? false;
  const network = options.hostNetwork ? '    network_mode: host\n' : '';
  buildSampleImages({ folder: join(folder, 'images'), version, zstd: traps, sparse: traps });
  const keys = options.keys ?? join(folder, 'keys');
  await write(
    'apps/gateway/compose.yaml',
    `services:
  gateway:
    image: registry.example.com/acme/gateway:${version}
    environment: { BOXSHIP_SITE: "factory 7" }
    volumes: ["data:/data"]
${network}volumes:
  data: {}
`,
  );
  await write(
    'apps/hmi/compose.yaml',
    `services:\n  hmi:\n    image: registry.example.com/acme/hmi:${version}\n    volumes: ["data:/data"]\n${network}volumes:\n  data: {}\n`,
  );
  await write(
    'boxship.yaml',
    `apiVersion: boxship/v1
product: acme-gateway
version: ${version}.0
machines:
  ${options.machine ?? MACHINE}: { base: ${options.base} }
engine: ${options.engine ?? 'docker'}
apps:
  gateway: { compose: ./apps/gateway/compose.yaml, console: true }
  hmi: { compose: ./apps/hmi/compose.yaml, console: true }
images:
  registry.example.com/acme/gateway:${version}: { from: oci:./images/gateway }
  registry.example.com/acme/hmi:${version}: { from: oci:./images/hmi }
variants:
  basic: { apps: [gateway] }
  pro: { extends: basic, apps: [hmi] }
store: { size: 64MiB }
signing: { key: ${keys}/release.key }
`,
  );
  const product = { program, folder, publicKey: join(keys, 'release.pub') };
  if (options.keys === undefined) {
    await mkdir(keys);
    await boxship(product, 'keygen', '--development', '--output-key-prefix', join(keys, 'release'));
  }
  await boxship(product, 'lock');
  return product;
}

/** Runs the bundled program as a user does; what it printed. Rejects with its words when it fails. */
export async function boxship(product: Pick<SampleProduct, 'program' | 'folder'>, ...args: readonly string[]) {
  const { stdout } = await runProgram(process.execPath, [product.program, ...args], {
    cwd: product.folder,
    env: { BOXSHIP_CACHE: join(product.folder, 'cache'), COSIGN_PASSWORD: PASSWORD },
  });
  return stdout.toString();
}

export interface SampleRelease {
  readonly folder: string;
  readonly image: string;
  readonly release: Release;
  /** Bytes: where the partition is. */
  partition(role: 'store' | 'data' | 'rootfs'): { readonly start: number; readonly size: number };
}

/** Composes a variant (nothing is done when it is there). */
export async function composeSample(product: SampleProduct, variant: 'basic' | 'pro' = 'pro'): Promise<SampleRelease> {
  await boxship(product, 'compose', '--variant', variant);
  return await readSampleRelease(product.folder, variant);
}

export async function readSampleRelease(productFolder: string, variant: 'basic' | 'pro'): Promise<SampleRelease> {
  const { stdout } = await runProgram('find', [join(productFolder, 'deploy'), '-name', `${MACHINE}-*-${variant}`]);
  const folder = stdout.toString().trim();
  const release = JSON.parse(await readFile(join(folder, 'release.json'), 'utf8')) as Release;
  return {
    folder,
    image: join(folder, release.files.find(({ name }) => name.endsWith('.img'))!.name),
    release,
    partition(role) {
      const { start, size } = release.partitions.find((one) => one.role === role)!;
      return { start: start!, size };
    },
  };
}

/**
 * The same product in another folder, with a base image, keys and a program of its own there and nothing in its cache:
 * its product file names no place outside.
 */
export async function moveSample(product: SampleProduct, folder: string): Promise<SampleProduct> {
  await mkdir(folder, { recursive: true });
  const text = await readFile(join(product.folder, 'boxship.yaml'), 'utf8');
  const [, base] = / base: (\S+) /.exec(text)!;
  await runProgram('cp', ['--sparse=always', '--reflink=auto', base!, join(folder, 'vendor.img')]);
  for (const name of ['images', 'apps', 'keys']) await runProgram('cp', ['-r', join(product.folder, name), folder]);
  await mkdir(join(folder, 'bin'));
  await runProgram('cp', [product.program, join(folder, 'bin')]); // alone: no schema, no folder beside it
  const moved = text.replace(base!, './vendor.img').replace(join(product.folder, 'keys'), './keys');
  await writeFile(join(folder, 'boxship.yaml'), moved);
  return { program: join(folder, 'bin/boxship.mjs'), folder, publicKey: join(folder, 'keys/release.pub') };
}

/** Digest of every file of a release, by name. */
export async function digestsOf(folder: string): Promise<Record<string, string>> {
  const { stdout } = await runProgram('sh', ['-c', 'sha256sum *'], { cwd: folder });
  return Object.fromEntries(
    stdout
      .toString()
      .trim()
      .split('\n')
      .map((line) => [line.slice(66), line.slice(0, 64)] as const),
  );
}
