import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseProduct } from '@boxship/catalog';
import { engines } from '@boxship/engines';
import { planLayer, type LayerPlan } from '@boxship/generate';
import { runProgram } from '@boxship/host';
import { inject } from 'vitest';
import { publicKeyPem } from '../../libs/generate/src/testing/sample-layer.ts';
import { yoctoFolder, type Release } from './checkouts.ts';

/** The static layer, as it is in this repository. */
export const META_BOXSHIP = fileURLToPath(new URL('../../layers/meta-boxship', import.meta.url));

/** Releases for which everything is checked. */
export const releaseNames = ['wrynose', 'scarthgap'] as const satisfies readonly Release[];

/** Every engine that a layer can be generated for. */
export const engineNames: readonly string[] = ['docker', 'podman', 'containerd', 'k3s'];

export interface GeneratedLayer {
  readonly path: string;
  /** The static layer as the program wrote it beside. */
  readonly metaBoxship: string;
  /** The file that a distro requires to opt in, as it is named in the layer. */
  readonly optInName: string;
  readonly optIn: string;
  readonly images: readonly string[];
  /** What was asked for, and of its one engine. */
  readonly plan: LayerPlan & Pick<LayerPlan['engines'][number], 'needs' | 'features'>;
}

export interface LayerOptions {
  readonly machine?: string;
  /** Engine of the variant `pro`, when it is another one. */
  readonly pro?: string;
  /** Engines of further variants, which are named after them. */
  readonly others?: readonly string[];
  /** Distribution of the build; the generator's own choice when absent. */
  readonly distro?: string;
}

/** What the program writes for a sample product, below the folder of these tests, where a user who builds may read it. */
export async function generateLayer(
  release: Release,
  engine: string,
  { machine = 'qemux86-64', pro, others = [], distro }: LayerOptions = {},
): Promise<GeneratedLayer> {
  const parts = [engine, pro, ...others, machine, distro];
  const folder = join(yoctoFolder(), release, 'layers', parts.filter(Boolean).join('-'));
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const more = others.map((other) => `, on-${other}: { extends: basic, engine: ${other} }`).join('');
  const text = `apiVersion: boxship/v1
product: acme-${engine}
version: 1.4.0
machines: { ${machine}: {} }
engine: ${engine}
apps: { web: { compose: ./compose.yaml }, hmi: { compose: ./compose.yaml } }
variants: { basic: { apps: [web] }, pro: { extends: basic, apps: [hmi]${pro === undefined ? '' : `, engine: ${pro}`} }${more} }
signing: { key: ./release.key }
yocto: { release: ${release}, maintainer: Jane Doe <jane@acme.example>${distro === undefined ? '' : `, distro: ${distro}`} }
`;
  await writeFile(join(folder, 'boxship.yaml'), text);
  await writeFile(join(folder, 'compose.yaml'), 'services: { web: { image: registry.example.com/acme/web:1 } }\n');
  await writeFile(join(folder, 'release.pub'), publicKeyPem);
  const product = ['-f', join(folder, 'boxship.yaml')];
  await runProgram(process.execPath, [inject('program'), 'layer', ...product, '--out', folder]);
  const plan = planLayer(parseProduct('boxship.yaml', text));
  const { name } = plan.section;
  const optInName = `conf/distro/include/${name}.inc`;
  const path = join(folder, `meta-${name}`);
  return {
    path,
    metaBoxship: join(folder, 'meta-boxship'),
    optInName,
    optIn: join(path, optInName),
    images: plan.variants.map(({ recipePart }) => `${name}-image-${recipePart}`),
    plan: { ...plan, needs: plan.engines[0]!.needs, features: plan.engines[0]!.features },
  };
}

/** Engines whose module says what a Yocto image needs must all be checked here. */
export function engineWithoutCheck(): string | undefined {
  return Object.keys(engines).find((name) => !engineNames.includes(name));
}
