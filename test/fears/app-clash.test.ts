import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { IMAGE, fearProduct, refusal, writeImage, GOOD_LAYERS, type FearProduct } from './fear-product.ts';

/* What only shows when apps, images and the machine come together. */

let product: FearProduct;
beforeAll(async () => {
  product = await fearProduct({
    yaml: (text) =>
      text
        .replace('  app: { compose', '  other: { compose: ./other/compose.yaml }\n  app: { compose')
        .replace('basic: { apps: [app] }', 'basic: { apps: [app] }\n  both: { apps: [app, other] }'),
  });
});
afterAll(() => product[Symbol.asyncDispose]());

const service = (keys: string) => `services:\n  app:\n    image: ${IMAGE}\n${keys.replace(/^/gm, '    ')}\n`;

async function faults(app: string, other: string): Promise<string[]> {
  await product.write('app/compose.yaml', service(app));
  await product.write('other/compose.yaml', service(other));
  await product.lock();
  const { problems } = await refusal(product.plan());
  return problems.map(({ code, message }) => `${code} ${message.replaceAll(product.folder, '')}`);
}

describe('two apps of one variant', () => {
  it('that claim one port of the device are refused, and both are named', async () => {
    expect(await faults('ports: ["8080:80"]', 'ports: ["8000-8100:8000-8100"]')).toEqual([
      'PORT_CONFLICT the port 8080/tcp of the device is published by "app" of "app" (/app/compose.yaml:2:3) and by "app" of "other" (/other/compose.yaml:2:3)',
    ]);
  });

  it('that claim one container name are refused, and both are named', async () => {
    expect(await faults('container_name: web', 'container_name: web')).toEqual([
      'DUPLICATE_CONTAINER the services "app" of "app" (/app/compose.yaml:2:3) and "app" of "other" (/other/compose.yaml:2:3) both have a container named "web"',
    ]);
  });
});

describe('two apps of Quadlet files', () => {
  it('with one file name are refused, and the places of both are named', async () => {
    await using quadlets = await fearProduct({
      yaml: (text) =>
        text
          .replace('  app: { compose: ./app/compose.yaml }', '  app: { quadlet: ./app }\n  other: { quadlet: ./other }')
          .replace('apps: [app]', 'apps: [app, other]')
          .replace('apps:\n', 'engine: podman\napps:\n'),
    });
    const unit = (name: string) =>
      `[Container]\nImage=${IMAGE}\nContainerName=${name}\n[Install]\nWantedBy=default.target\n`;
    await rm(quadlets.path('app/compose.yaml'));
    for (const name of ['app', 'other']) await quadlets.write(`${name}/web.container`, unit(name));
    await quadlets.lock();
    const { problems } = await refusal(quadlets.plan());
    expect(problems.map(({ code, message }) => `${code} ${message.replaceAll(quadlets.folder, '')}`)).toEqual([
      'DUPLICATE_FILE the apps "app" (/boxship.yaml:8:3) and "other" (/boxship.yaml:9:3) both have a Quadlet file web.container',
    ]);
  });
});

describe('device classes', () => {
  it('of a machine of which nothing is known are refused, and the service and the machine are named', async () => {
    const found = await faults('x-boxship: { devices: [gpio] }', 'user: "1"');
    expect(found.map((line) => line.split(' ')[0])).toEqual(['NO_DEVICES']);
    expect(found[0]).toContain('nothing is known of the devices of "tiny" (/boxship.yaml:5)');
  });

  it('that the machine does not have are refused; those that it has are in the plan', async () => {
    await product.edit('boxship.yaml', (text) => text.replace('tiny: {', 'tiny: { recipe: qemux86-64,'));
    const found = await faults('x-boxship: { devices: [gpio, serial] }', 'user: "1"');
    expect(found).toEqual([
      'NO_DEVICE_CLASS the service "app" asks for gpio, which the machine "tiny" (/boxship.yaml:5) does not have',
    ]);
    await product.write('app/compose.yaml', service('x-boxship: { devices: [serial] }'));
    await product.lock();
    const [plan] = await product.plan();
    expect(plan!.variant.machine.devices).toEqual({ serial: ['/dev/ttyS[01]'] });
  });
});

describe('an image for another architecture than the machine', () => {
  it('is refused with both, at the service that runs it', async () => {
    writeImage(product.path('images/app'), GOOD_LAYERS, ['arm64']);
    await product.write('app/compose.yaml', service('user: "1"'));
    const { problems } = await refusal(product.lock());
    expect(problems.map(({ where }) => where?.line)).toEqual([2]);
    expect(problems[0]!.message).toMatch(/linux\/amd64/);
    expect(`${problems[0]!.message} ${problems[0]!.hint}`).toMatch(/arm64/);
  });
});
