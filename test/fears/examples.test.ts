import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLock, readApps, readProductFile, writeLock } from '@boxship/catalog';
import { composeProduct, openProduct, planProduct, verifyRelease } from '@boxship/compose';
import { openCache, silent } from '@boxship/host';
import { fileDownloads } from '@boxship/oci';
import { DEVELOPMENT, generateKeyPair } from 'cosign-node-binding';
import { buildExampleImages } from '../fixtures/example-images/build.mjs';
import { buildSampleImages } from '../fixtures/images/build.mjs';
import { buildTinyBase } from '../fixtures/tiny-base/build.mjs';
import { PASSWORD } from './fear-product.ts';

/* The three example products are planned and composed. test/product/examples.test.ts boots two of them. */

const EXAMPLES = fileURLToPath(new URL('../examples/', import.meta.url));
let top = '';
beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), 'boxship-examples-'));
  process.env['COSIGN_PASSWORD'] = PASSWORD;
  buildSampleImages({ folder: join(top, 'images') });
  await buildExampleImages({ folder: join(top, 'images') });
  const base = join(top, 'vendor.img');
  buildTinyBase(base);
}, 600_000); // mosquitto may have to be fetched
afterAll(() => rm(top, { recursive: true, force: true }));

describe.each(['headless', 'monolithic', 'microservices'])('%s', (name) => {
  it('is planned, composed and verified', async () => {
    const folder = join(top, name);
    await cp(join(EXAMPLES, name), folder, { recursive: true });
    await cp(join(top, 'images'), join(folder, 'images'), { recursive: true });
    await cp(join(top, 'vendor.img'), join(folder, 'bsp/vendor.img'));
    const keys = await generateKeyPair({ password: PASSWORD, metadata: DEVELOPMENT });
    await cp(EXAMPLES, join(folder, 'keys'), { recursive: true, filter: (path) => path === EXAMPLES });
    await writeFile(join(folder, 'keys/release.key'), keys.privateKeyPem);
    await writeFile(join(folder, 'keys/release.pub'), keys.publicKeyPem);

    const file = join(folder, 'boxship.yaml');
    const cache = openCache(join(top, 'cache'));
    const product = await readProductFile(file);
    await using downloads = fileDownloads();
    const registry = () => Promise.reject(new Error('no registry in this test'));
    await writeLock(file, await createLock(product, readApps(product, silent), { cache, progress: silent, downloads, registry })); // prettier-ignore
    const open = await openProduct(file, { cache, progress: silent, version: '0.0.0-test' });
    const [plan] = await planProduct(open);
    // what the example is there to show
    const { machine, apps } = plan!.variant;
    expect({ devices: machine.devices, secrets: apps[0]!.secrets }).toEqual(
      {
        headless: {
          devices: { i2c: ['/dev/i2c-*'], serial: ['/dev/ttyS[01]'] },
          secrets: [{ name: 'cloud-token', place: { from: 'data', path: '/run/boxship/data/secrets/telemetry/cloud/token' } }], // prettier-ignore
        },
        monolithic: {
          devices: { drm: ['/dev/dri/card*'], gpu: ['/dev/dri/renderD*'], input: ['/dev/input/event*'] },
        },
        microservices: {},
      }[name],
    );
    const services = open.apps.get(apps[0]!.name)!.app.services;
    if (name === 'microservices') {
      expect(services.map(({ name: service, networks }) => `${service}: ${networks.map((one) => one.name).join(' ')}`)).toEqual([
        'api: plant_back plant_front', 'codec: plant_back', 'web: plant_front', 'worker: plant_back',
      ]); // prettier-ignore
      expect(services.find((service) => service.name === 'web')!.ports).toMatchObject([{ published: '80', target: '80' }]); // prettier-ignore
    }
    const [made] = await composeProduct(open, {}, { out: join(folder, 'deploy') });
    await verifyRelease(made!.folder, await readFile(join(folder, 'keys/release.pub'), 'utf8'));
  });
});
