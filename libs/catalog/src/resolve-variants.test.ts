import { describe, expect, it } from 'vitest';
import { UserError } from '@boxship/model';
import type { Lock } from './lock-file.ts';
import { lockDifferences, releaseFolder, resolveVariants, wantedImages } from './resolve-variants.ts';
import { digestOf, TEST_LOCK, testApps, testProduct } from './test-product.ts';

const SIGNING = { keyId: 'k', development: true };
const resolve = (
  { change, lock = TEST_LOCK, ...asked }: { change?: (text: string) => string; lock?: Lock; variants?: string[]; machines?: string[] } = {},
) => {
  const product = testProduct(change);
  return resolveVariants(product, testApps(product), lock, { signing: SIGNING, version: '9', ...asked });
}; // prettier-ignore

function refusal(work: () => unknown): UserError {
  try {
    work();
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  return expect.fail('no error');
}

describe('resolveVariants', () => {
  it('makes each variant for each of its machines: apps of its parents first, machines of the nearest that names any', () => {
    expect(resolve().map((one) => [releaseFolder(one), one.apps.map(({ name }) => name)])).toEqual([
      ['acme-1.0.0/gate-docker-basic', ['web']],
      ['acme-1.0.0/gate-docker-pro', ['web', 'log']],
      ['acme-1.0.0/pole-docker-poles', ['web', 'log']],
    ]);
  });

  it('pins every input: the images of its apps for its platform alone, the base, the time', () => {
    const [basic, , poles] = resolve();
    expect(basic!.images.map(({ reference, manifest }) => [reference, manifest.digest])).toEqual([
      ['docker.io/library/nginx:1', digestOf('3')],
    ]);
    expect(poles!.images.map(({ manifest }) => manifest.digest)).toEqual([digestOf('4'), digestOf('6')]);
    expect(poles).toMatchObject({
      base: { digest: digestOf('2'), size: 2 },
      epoch: 1_700_000_000,
      engine: { name: 'docker' },
      signing: SIGNING,
      tools: { boxship: '9', debugfs: '1.47.2' },
    });
    expect(JSON.parse(JSON.stringify(poles))).toEqual(poles); // plain JSON
  });

  it('takes those that are asked for', () => {
    const names = (asked: { variants?: string[]; machines?: string[] }) =>
      resolve(asked).map(({ name, machine }) => `${machine.name} ${name}`);
    expect(names({ variants: ['pro'] })).toEqual(['gate pro']);
    expect(names({ machines: ['pole'] })).toEqual(['pole poles']);
    expect(refusal(() => names({ variants: ['por'] })).code).toBe('UNKNOWN_VARIANT');
    expect(refusal(() => names({ machines: ['gat'] })).problems[0]!.hint).toBe('Known: gate, pole.');
    expect(refusal(() => names({ variants: ['basic'], machines: ['pole'] })).code).toBe('NO_VARIANT');
  });

  it('leaves the base out for a machine that has none yet', () => {
    const change = (text: string) => text.replace('base: ./pole.img, ', '');
    const { pole: _pole, ...bases } = TEST_LOCK.bases;
    expect(resolve({ change, lock: { ...TEST_LOCK, bases }, machines: ['pole'] })[0]).not.toHaveProperty('base');
  });

  it('refuses two that would write one folder, even when one is asked for', () => {
    const change = (text: string) =>
      text.replace('  gate:', '  a-docker: { base: ./gate.img, platform: linux/amd64 }\n  a: { base: ./gate.img, platform: linux/amd64 }\n  gate:')
        .replace('  basic:', '  b: { apps: [web], machines: [a-docker] }\n  docker-b: { apps: [web], machines: [a] }\n  basic:'); // prettier-ignore
    const lock = { ...TEST_LOCK, bases: { ...TEST_LOCK.bases, a: TEST_LOCK.bases['gate']!, 'a-docker': TEST_LOCK.bases['gate']! } }; // prettier-ignore
    const { message } = refusal(() => resolve({ change, lock, variants: ['b'] }));
    expect(message).toContain('"b" of "a-docker" and variant "docker-b" of "a" would both write');
  });
});

describe('lockDifferences', () => {
  const differences = (change: (text: string) => string, lock: Lock = TEST_LOCK) => {
    const product = testProduct(change);
    return lockDifferences(product, testApps(product), lock).map(
      ({ where, message }) => `${where?.line ?? ''}:${where?.column ?? ''} ${message}`,
    );
  };
  const same = (text: string) => text;

  it('is empty when nothing differs', () => {
    expect(differences(same)).toEqual([]);
  });

  it('tells all of it at once, each with its line', () => {
    const change = (text: string) =>
      text.replace('./gate.img', './other.img').replace('  pole:', '  mast: { base: ./m.img, platform: linux/arm64 }\n  pole:'); // prettier-ignore
    const lock = { ...TEST_LOCK, apps: { log: TEST_LOCK.apps['log']! }, tools: {} };
    expect(differences(change, lock)).toEqual([
      '5:3 boxship.lock has another base for "gate"',
      '6:3 machine "mast" is not in boxship.lock',
      '9:3 app "web" is not in boxship.lock',
      ': the version of debugfs is not in boxship.lock',
    ]);
  });

  it('sees an app that changed, and an image of another origin or platform', () => {
    const product = testProduct();
    const apps = testApps(product, { web: digestOf('f') });
    expect(lockDifferences(product, apps, TEST_LOCK).map(({ message }) => message)).toEqual([
      'app "web" was changed after boxship.lock was written',
    ]);
    const lock = {
      ...TEST_LOCK,
      images: TEST_LOCK.images.filter(({ platform }) => platform === 'linux/amd64'),
      origins: { ...TEST_LOCK.origins, 'docker.io/library/nginx:1': 'oci:./nginx' },
    };
    expect(differences(same, lock)).toEqual([
      '9:3 the image docker.io/library/nginx:1 comes from registry, in boxship.lock from oci:./nginx',
      expect.stringContaining('nginx:1 for linux/arm64 is not in boxship.lock') as string,
      expect.stringContaining('vector:0 for linux/arm64 is not in boxship.lock') as string,
    ]);
  });
});

describe('wantedImages', () => {
  it('is every image on every platform that a variant runs it on, once, sorted', () => {
    const product = testProduct();
    expect(wantedImages(product, testApps(product)).map(({ reference, platform }) => `${reference} ${platform}`)).toEqual([
      'docker.io/library/nginx:1 linux/amd64',
      'docker.io/library/nginx:1 linux/arm64',
      'docker.io/timberio/vector:0 linux/amd64',
      'docker.io/timberio/vector:0 linux/arm64',
    ]);
    const smaller = testProduct((text) => text.replace(/ {2}poles:.*\n/, ''));
    expect(wantedImages(smaller, testApps(smaller)).every(({ platform }) => platform === 'linux/amd64')).toBe(true);
  }); // prettier-ignore
});
