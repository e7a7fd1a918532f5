import { describe, expect, it } from 'vitest';
import { MiB, UserError } from '@boxship/model';
import { parseProduct } from './product-file.ts';
import { PRODUCT_FILE, testProduct } from './test-product.ts';

const FILE = '/srv/acme/boxship.yaml';

/** `line:col CODE` of everything that is wrong, in order. */
function faults(change: (text: string) => string): readonly string[] {
  try {
    parseProduct(FILE, change(PRODUCT_FILE));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    for (const { where, hint } of error.problems) {
      expect(where?.file).toBe(FILE);
      expect(hint, 'every fault has a hint').toBeTruthy();
    }
    return error.problems.map(({ code, where }) => `${where?.line}:${where?.column} ${code}`);
  }
  return [];
}

describe('a product file', () => {
  it('has every default filled in', () => {
    expect(testProduct()).toMatchObject({
      file: FILE,
      name: 'acme',
      version: '1.0.0',
      engine: { name: 'docker' },
      store: { size: 'auto', reserve: 0.2 },
      dataSize: 64 * MiB,
      signing: { key: './release.key', publicKey: './release.pub', passwordEnvironment: 'COSIGN_PASSWORD' },
      images: [],
    });
    expect(testProduct().machines[0]!.artifacts).toEqual([
      { options: { format: 'raw', compression: 'none', bmap: true } },
    ]);
    const [web] = testProduct().apps;
    expect(web).toMatchObject({ console: false, profiles: [], environment: {}, where: { line: 8, column: 3 } });
  });

  it('resolves what variants extend', () => {
    expect(testProduct().variants.map(({ name, apps, machines }) => ({ name, apps, machines }))).toEqual([
      { name: 'basic', apps: ['web'], machines: ['gate'] },
      { name: 'pro', apps: ['web', 'log'], machines: ['gate'] },
      { name: 'poles', apps: ['web', 'log'], machines: ['pole'] },
    ]);
  });

  it.each([
    ['./bsp/vendor.img', { path: './bsp/vendor.img' }],
    ['./deploy/images/gate', { path: './deploy/images/gate' }],
    ['oci:./bsp:1.2', { oci: './bsp:1.2' }],
    ['oci:registry.example.com/acme/bsp:1.2', { oci: 'registry.example.com/acme/bsp:1.2' }],
    [`{ url: https://example.com/a.img, sha256: "${'0'.repeat(64)}" }`, { url: 'https://example.com/a.img', sha256: '0'.repeat(64) }], // prettier-ignore
  ])('takes a base from %s', (text, base) => {
    expect(testProduct((file) => file.replace('./gate.img', text)).machines[0]!.base).toEqual(base);
  });

  it.each([
    ['docker', { name: 'docker' }],
    ['{ name: docker }', { name: 'docker' }],
    ['{ name: docker, start: auto }', { name: 'docker' }],
    ['{ name: docker, start: units }', { name: 'docker', start: 'units' }],
    ['{ name: docker, start: compose }', { name: 'docker', start: 'compose' }],
  ])('takes the engine %s', (text, engine) => {
    expect(testProduct((file) => `${file}engine: ${text}\n`).engine).toEqual(engine);
  });

  it.each<[string, (text: string) => string, readonly string[]]>([
    ['a way to start that is none', (text) => `${text}engine: { name: docker, start: both }\n`, ['15:32 BAD_VALUE']],
    ['a url without sha256', (text) => text.replace('./gate.img', '{ url: https://example.com/a.img }'), ['5:11 MISSING_KEY']],
    ['a rootfs without wks', (text) => text.replace('./gate.img', '{ rootfs: ./a.tar }'), ['5:11 MISSING_KEY']],
    ['a platform that is needed', (text) => text.replace(', platform: linux/arm64', ''), ['6:3 MISSING_KEY']],
    ['a recipe that is unknown', (text) => text.replace('{ base: ./pole.img, platform: linux/arm64 }', '{ recipe: rasperrypi4-64, base: ./a.img }'), ['6:9 UNKNOWN_MACHINE']],
    ['three things at once', (text) => text.replace('[web]', '[webb]').replace('machines: [pole]', 'machines: [poel]').replace('extends: basic', 'extends: basics'), ['11:19 UNKNOWN_APP', '12:19 UNKNOWN_VARIANT', '13:37 UNKNOWN_MACHINE']],
  ])('names the place of %s', (_name, change, expected) => {
    expect([...faults(change)].sort()).toEqual([...expected].sort());
  }); // prettier-ignore
});
