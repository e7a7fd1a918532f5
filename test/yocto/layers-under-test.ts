import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseProduct } from '@boxship/catalog';
import { engines } from '@boxship/engines';
import { layerFiles, planLayer, type LayerPlan } from '@boxship/generate';
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
  /** The file that a distro requires to opt in, as it is named in the layer. */
  readonly optInName: string;
  readonly optIn: string;
  readonly images: readonly string[];
  /** What was asked for. */
  readonly plan: LayerPlan;
}

export interface LayerOptions {
  readonly machine?: string;
}

/** Writes the layer of a sample product below the folder of these tests, as a user who builds may read it. */
export async function generateLayer(
  release: Release,
  engine: string,
  { machine = 'qemux86-64' }: LayerOptions = {},
): Promise<GeneratedLayer> {
  const name = `acme-${engine}`;
  const product = parseProduct(
    'boxship.yaml',
    `apiVersion: boxship/v1
product: ${name}
version: 1.4.0
machines: { ${machine}: {} }
engine: ${engine}
apps: { web: { compose: ./compose.yaml }, hmi: { compose: ./hmi.yaml } }
variants: { basic: { apps: [web] }, pro: { extends: basic, apps: [hmi] } }
signing: { key: ./release.key }
yocto: { release: ${release}, maintainer: Jane Doe <jane@acme.example> }
`,
  );
  const plan = planLayer(product);
  const path = join(layerRoot(release, engine, machine), `meta-${plan.section.name}`);
  await rm(path, { recursive: true, force: true });
  for (const file of await layerFiles(plan, { key: { publicKeyPem, development: false } })) {
    await mkdir(dirname(join(path, file.path)), { recursive: true });
    await writeFile(join(path, file.path), file.text);
  }
  const optInName = `conf/distro/include/${plan.section.name}.inc`;
  return {
    path,
    optInName,
    optIn: join(path, optInName),
    images: plan.variants.map(({ recipePart }) => `${plan.section.name}-image-${recipePart}`),
    plan,
  };
}

function layerRoot(release: Release, engine: string, machine: string): string {
  return join(yoctoFolder(), release, 'layers', `${engine}-${machine}`);
}

/** Engines whose module says what a Yocto image needs must all be checked here. */
export function engineWithoutCheck(): string | undefined {
  return Object.keys(engines).find((name) => !engineNames.includes(name));
}
