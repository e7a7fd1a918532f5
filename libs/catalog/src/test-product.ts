import type { App, Digest } from '@boxship/model';
import type { Lock } from './lock-file.ts';
import { parseProduct } from './product-file.ts';
import type { Product } from './product.ts';
import type { ProductApps, ResolvedApp } from './read-apps.ts';

/** For tests: two machines of two platforms, two apps that share an image, three variants. */
export const PRODUCT_FILE = `apiVersion: boxship/v1
product: acme
version: 1.0.0
machines:
  gate: { base: ./gate.img, platform: linux/amd64 }
  pole: { base: ./pole.img, platform: linux/arm64 }
apps:
  web: { compose: ./web/compose.yaml }
  log: { compose: ./log/compose.yaml }
variants:
  basic: { apps: [web], machines: [gate] }
  pro: { extends: basic, apps: [log] }
  poles: { extends: pro, machines: [pole] }
signing: { key: ./release.key }
`;

export const digestOf = (character: string): Digest => `sha256:${character.repeat(64)}`;

export const testProduct = (change: (text: string) => string = (text) => text): Product =>
  parseProduct('/srv/acme/boxship.yaml', change(PRODUCT_FILE));

/** The apps of that product without their Compose files: `web` runs nginx, `log` runs nginx and vector. */
export function testApps(product: Product, digests: Readonly<Record<string, Digest>> = {}): ProductApps {
  const images: Readonly<Record<string, readonly string[]>> = {
    web: ['docker.io/library/nginx:1'],
    log: ['docker.io/library/nginx:1', 'docker.io/timberio/vector:0'],
  };
  const apps = product.apps.map((app): [string, ResolvedApp] => {
    const references = (images[app.name] ?? []).map((reference) => ({ reference, where: app.where }));
    const digest = digests[app.name] ?? digestOf(app.name === 'web' ? 'a' : 'b');
    const read: App = { name: app.name, composeFile: 'compose.yaml', composeBytes: new Uint8Array(), services: [], volumes: [], networks: [], files: [] }; // prettier-ignore
    return [app.name, { product: app, app: read, digest, images: references }];
  });
  return Object.assign(new Map(apps), { origins: new Map() });
}

const image = (reference: string, platform: string, character: string): Lock['images'][number] => ({
  reference,
  platform,
  manifest: { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: digestOf(character), size: 500 },
  config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(character), size: 900 },
  layers: [],
});

/** The lock of that product. */
export const TEST_LOCK: Lock = {
  lockVersion: 1,
  product: 'acme',
  epoch: 1_700_000_000,
  bases: {
    gate: { from: './gate.img', digest: digestOf('1'), size: 1 },
    pole: { from: './pole.img', digest: digestOf('2'), size: 2 },
  },
  apps: {
    web: { compose: './web/compose.yaml', digest: digestOf('a'), images: ['docker.io/library/nginx:1'] },
    log: {
      compose: './log/compose.yaml',
      digest: digestOf('b'),
      images: ['docker.io/library/nginx:1', 'docker.io/timberio/vector:0'],
    },
  },
  origins: { 'docker.io/library/nginx:1': 'registry', 'docker.io/timberio/vector:0': 'registry' },
  images: [
    image('docker.io/library/nginx:1', 'linux/amd64', '3'),
    image('docker.io/library/nginx:1', 'linux/arm64', '4'),
    image('docker.io/timberio/vector:0', 'linux/amd64', '5'),
    image('docker.io/timberio/vector:0', 'linux/arm64', '6'),
  ],
  tools: { debugfs: '1.47.2' },
};
