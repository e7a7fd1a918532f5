import { mkdirSync, existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createGzip } from 'node:zlib';
import { Readable } from 'node:stream';
import { syntheticLayer, type SyntheticLayer } from '@boxship/image-layers';
import { writeOciLayout, mediaTypes } from '@boxship/oci';

/** What is composed: images, each with its own layers on top of one base layer that all share. */
export interface Workload {
  readonly base: SyntheticLayer;
  readonly images: Readonly<Record<string, SyntheticLayer>>;
  /** Of gzip; 6 when absent. */
  readonly level?: number;
}

const KiB = 1024;
const MiB = 1024 * KiB;

/**
 * `mixed`: about 2 GiB unpacked in 3 images, one of them with 100,000 small files. `million`: a million files of 4 KiB or
 * less. `tiny`: a million files of 300 bytes, for which ext4's blocks of 4 KiB are the worst case. `large`: ten times the
 * bytes of `mixed`, in few files, to see that memory does not grow.
 */
export const workloads: Readonly<Record<string, Workload>> = {
  mixed: {
    base: { files: 20_000, fileSize: 24 * KiB, seed: 1 },
    images: {
      small: { files: 100_000, fileSize: 4 * KiB, seed: 2 },
      middle: { files: 10_000, fileSize: 48 * KiB, seed: 3 },
      large: { files: 800, fileSize: 640 * KiB, seed: 4 },
    },
  },
  million: {
    base: { files: 2_000, fileSize: 24 * KiB, seed: 1 },
    images: {
      million: { files: 1_000_000, fileSize: 2 * KiB, seed: 5 },
      middle: { files: 1_000, fileSize: 48 * KiB, seed: 3 },
      large: { files: 80, fileSize: 640 * KiB, seed: 4 },
    },
  },
  tiny: {
    base: { files: 2_000, fileSize: 24 * KiB, seed: 1 },
    images: {
      tiny: { files: 1_000_000, fileSize: 300, seed: 6 },
      middle: { files: 1_000, fileSize: 48 * KiB, seed: 3 },
      large: { files: 80, fileSize: 640 * KiB, seed: 4 },
    },
  },
  large: {
    level: 1, // or making it takes longer than all that is measured
    base: { files: 2_000, fileSize: MiB, seed: 1 },
    images: {
      first: { files: 12_000, fileSize: MiB - 1, seed: 7 },
      second: { files: 6_000, fileSize: MiB - 1, seed: 8 },
      third: { files: 3_000, fileSize: MiB - 1, seed: 9 },
    },
  },
};

export function scaleWorkload({ base, images, ...rest }: Workload, scale: number): Workload {
  const scaled = (layer: SyntheticLayer) => ({ ...layer, files: Math.max(1, Math.round(layer.files * scale)) });
  return {
    ...rest,
    base: scaled(base),
    images: Object.fromEntries(Object.entries(images).map(([name, layer]) => [name, scaled(layer)])),
  };
}

/**
 * The product of a workload in `folder`: OCI layouts, Compose files and boxship.yaml with the variants `first` (all images
 * but one) and `second` (all of them). Made once.
 */
export async function writeProduct(
  folder: string,
  { base, images, level = 6 }: Workload,
  vendorImage: string,
): Promise<string[]> {
  const names = Object.keys(images);
  if (!existsSync(join(folder, 'images'))) {
    const partial = join(folder, 'images.partial');
    rmSync(partial, { recursive: true, force: true });
    for (const name of names) {
      await writeOciLayout(join(partial, name), [
        {
          reference: `registry.example.com/bench/${name}:1`,
          platform: { os: 'linux', architecture: 'amd64' },
          created: '2026-01-01T00:00:00Z',
          config: { Cmd: ['/bin/true'] },
          layers: [base, images[name]!].map((layer) => ({
            mediaType: mediaTypes.ociLayerGzip,
            blob: Readable.from(syntheticLayer(layer)).pipe(createGzip({ level })),
          })),
        },
      ]);
    }
    renameSync(partial, join(folder, 'images'));
  }
  writeProductFile(folder, names, vendorImage, {
    variants: {
      first: `{ apps: [${names.slice(0, -1).join(', ')}] }`,
      second: `{ apps: [${names.join(', ')}] }`,
    },
  });
  return names;
}

export interface ProductText {
  /** What each variant says, by its name. */
  readonly variants: Readonly<Record<string, string>>;
  /** References of images that no app runs, and the images that they are. */
  readonly furtherImages?: Readonly<Record<string, string>>;
  /** Further lines of each service. */
  readonly service?: string;
}

/** The product file of a workload, and an app for each of its images. */
export function writeProductFile(
  folder: string,
  names: readonly string[],
  vendorImage: string,
  { variants, furtherImages = {}, service = '' }: ProductText,
): void {
  mkdirSync(join(folder, 'apps'), { recursive: true });
  const reference = (name: string) => `registry.example.com/bench/${name}:1`;
  for (const name of names) {
    const text = `services:\n  ${name}:\n    image: ${reference(name)}\n${service}`;
    writeFileSync(join(folder, 'apps', `${name}.yaml`), text);
  }
  const images = { ...Object.fromEntries(names.map((name) => [reference(name), name])), ...furtherImages };
  writeFileSync(
    join(folder, 'boxship.yaml'),
    `apiVersion: boxship/v1
product: bench
version: "1"
machines:
  qemux86-64: { base: ${vendorImage} }
apps:
${names.map((name) => `  ${name}: { compose: apps/${name}.yaml }`).join('\n')}
images:
${Object.entries(images)
  .map(([image, name]) => `  ${image}: { from: 'oci:images/${name}' }`)
  .join('\n')}
variants:
${Object.entries(variants)
  .map(([name, text]) => `  ${name}: ${text}`)
  .join('\n')}
artifacts: [raw]
store: { reserve: 5% }
signing: { key: ./bench.key }
`,
  );
}
