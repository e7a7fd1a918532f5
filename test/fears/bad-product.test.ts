import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatProblem } from '@boxship/model';
import { composeProduct, openProduct, verifyRelease, type ComposedVariant } from '@boxship/compose';
import { silent } from '@boxship/host';
import { generateKeyPair } from 'cosign-node-binding';
import { IMAGE, PASSWORD, exists, fearProduct, filesBelow, refusal, type FearProduct } from './fear-product.ts';

let product: FearProduct;
let yaml = '';
let lock = '';
beforeAll(async () => {
  product = await fearProduct();
  await product.lock();
  yaml = await readFile(product.file, 'utf8');
  lock = await readFile(product.path('boxship.lock'), 'utf8');
});
afterAll(() => product[Symbol.asyncDispose]());

/** All that is wrong with the product after `change`, as `line:column code`; everything is put back. */
async function faults(change: (text: string) => string): Promise<string[]> {
  try {
    expect(change(yaml)).not.toBe(yaml);
    await writeFile(product.file, change(yaml));
    const { problems } = await refusal(product.plan());
    for (const problem of problems) expect(problem.hint, formatProblem(problem)).toBeTruthy();
    return problems.map(({ code, where }) => `${where?.line ?? ''}:${where?.column ?? ''} ${code}`);
  } finally {
    await writeFile(product.file, yaml);
  }
}

describe('boxship.yaml', () => {
  it.each<[string, (text: string) => string, string[]]>([
    ['an unknown key', (text) => text.replace('signing:', 'sining:'), ['13:1 UNKNOWN_KEY']],
    ['an unknown key in a machine', (text) => text.replace('platform:', 'plattform:'), ['5:31 UNKNOWN_KEY']],
    ['a duplicate key', (text) => `${text}product: other\n`, ['14:1 DUPLICATE_KEY']],
    ['a key that is missing', (text) => text.replace(/^version.*\n/m, ''), ['1:1 MISSING_KEY']],
    ['a version that YAML takes for a number', (text) => text.replace('1.0.0', '1.10'), ['3:10 WRONG_TYPE']],
    ['a tab', (text) => text.replace('  tiny', '\ttiny'), ['5:1 BAD_YAML']],
    ['nothing', () => '', ['1:1 WRONG_TYPE']],
    ['two documents', (text) => `${text}---\n${text}`, ['14:1 BAD_YAML']],
    ['an alias of nothing', (text) => text.replace('acme', '*nobody'), ['2:10 BAD_YAML']],
    ['a variant that extends itself', (text) => text.replace('apps: [app] }', 'extends: basic }'), ['11:21 VARIANT_CYCLE']],
    ['a circle of variants', (text) => text.replace('basic: {', 'a: { extends: b }\n  b: { extends: a }\n  basic: {'), ['11:17 VARIANT_CYCLE', '12:17 VARIANT_CYCLE']],
    ['an app that is unknown', (text) => text.replace('[app]', '[ap]'), ['11:19 UNKNOWN_APP']],
    ['a parent that is unknown', (text) => text.replace('apps: [app]', 'extends: pro'), ['11:21 UNKNOWN_VARIANT']],
    ['a machine that is unknown', (text) => text.replace('apps: [app]', 'machines: [tinny]'), ['11:23 UNKNOWN_MACHINE']],
    ['an image that nobody runs', (text) => text.replace('variants:', '  one:1: { from: oci:./x }\n  two:1: { from: oci:./x }\nvariants:'), ['10:3 UNUSED_IMAGE', '11:3 UNUSED_IMAGE']],
    ['an image twice, spelt in two ways', (text) => text.replace('variants:', '  busybox: { from: oci:./x }\n  docker.io/library/busybox:latest: { from: oci:./y }\nvariants:'), ['11:3 DUPLICATE_IMAGE']],
    ['an artifact twice', (text) => `${text}artifacts: [raw, raw: { bmap: false }]\n`, ['14:18 DUPLICATE_ARTIFACT']],
    ['an artifact that is unknown', (text) => `${text}artifacts: [tezzi]\n`, ['14:13 UNKNOWN_FORMAT']],
    ['a size that is none', (text) => `${text}store: { size: big }\n`, ['14:16 BAD_SIZE']],
    ['a negative size', (text) => `${text}store: { size: -1 }\n`, ['14:16 BAD_SIZE']],
    ['a size of nothing', (text) => `${text}store: { size: 0 }\n`, ['14:16 STORE_TOO_SMALL']],
    ['a size beyond all disks', (text) => text.replace('8MiB', '999999999999TiB'), ['12:15 BAD_SIZE']],
    ['a data partition that is too small', (text) => text.replace('8MiB', '1MiB'), ['12:15 DATA_TOO_SMALL']],
    ['an engine that is unknown', (text) => `${text}engine: dockr\n`, [': UNKNOWN_ENGINE']],
  ])('with %s is refused at its place', async (_what, change, expected) => {
    expect(await faults(change)).toEqual(expected);
  }); // prettier-ignore

  it('with an alias bomb is refused at once', async () => {
    const bomb = ['a: &a [x, x, x, x, x, x, x, x, x]', ...'bcdefghi'.split('').map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefghi'[i]}`).join(', ')}]`)].join('\n'); // prettier-ignore
    expect(await faults((text) => `${text}${bomb}\n`)).toEqual([': BAD_YAML']);
  });

  it('nested without end is refused', async () => {
    const [first] = await faults((text) => text.replace('acme', `${'['.repeat(20_000)}${']'.repeat(20_000)}`));
    expect(first).toMatch(/BAD_YAML|WRONG_TYPE/);
  });

  it('with two variants that write one path is refused, also when one of them is asked for', async () => {
    const text = yaml
      .replace(/ {2}tiny: (.*)/, '  a: $1\n  a-docker: $1')
      .replace('basic:', 'b: { apps: [app], machines: [a-docker] }\n  docker-b:');
    await writeFile(product.file, text);
    await product.lock();
    const open = await openProduct(product.file, { cache: product.cache, progress: silent, version: '0' });
    for (const variants of [{}, { variants: ['b'] }, { machines: ['a'] }]) {
      const error = await refusal(Promise.resolve().then(() => open.variants(variants)));
      expect(error.code).toBe('SAME_OUTPUT');
      expect(error.message).toContain('acme-1.0.0/a-docker-docker-b');
    }
    await writeFile(product.file, yaml);
    await writeFile(product.path('boxship.lock'), lock);
  });

  it('with names too long for a file is refused', async () => {
    const [problem] = await faults((text) => text.replace('1.0.0', `1.0.0-${'x'.repeat(200)}`));
    expect(problem).toBe(': NAME_TOO_LONG');
  });
});

describe('boxship.lock', () => {
  it.each<[string, (lock: string) => string, string, RegExp]>([
    ['is not there', () => '', 'NO_LOCK', /there is no/],
    ['is cut', (text) => text.slice(0, 100), 'BAD_LOCK', /is not JSON/],
    ['has marks of a merge', (text) => text.replace('{', '<<<<<<< HEAD\n{'), 'BAD_LOCK', /is not JSON/],
    ['is of another version', (text) => text.replace('"lockVersion": 1', '"lockVersion": 2'), 'BAD_LOCK', /lockVersion/],
    ['has a key more', (text) => text.replace('{', '{ "x": 1,'), 'BAD_LOCK', /additional/],
    ['has a digest that is none', (text) => text.replace(/sha256:[0-9a-f]{64}/, 'sha256:0'), 'BAD_LOCK', /digest/],
    ['has an image twice', (text) => text.replace(/"images": \[\n {4}(\{[^]*\})\n {2}\],\n {2}"tools"/, '"images": [$1, $1], "tools"'), 'BAD_LOCK', /twice/],
    ['is of another product', (text) => text.replace('"acme"', '"other"'), 'LOCK_MISMATCH', /product "other"/],
    ['lacks the machine', (text) => text.replace('"tiny"', '"other"'), 'LOCK_MISMATCH', /machine "tiny" is not/],
    ['has another base', (text) => text.replace('./vendor.img', './old.img'), 'LOCK_MISMATCH', /another base for "tiny"/],
    ['has another digest of the base', (text) => text.replace(/("from": ".\/vendor.img",\s+"digest": "sha256:)(.)/, (_all, before: string, digit: string) => before + (digit === 'f' ? '0' : 'f')), 'BASE_CHANGED', /boxship.lock says/],
    ['lacks the app', (text) => text.replace('"app": {', '"other": {'), 'LOCK_MISMATCH', /app "app" is not/],
    ['has other images of the app', (text) => text.replace(/("images": \[\s+)"[^"]*"/, '$1"docker.io/library/x:1"'), 'LOCK_MISMATCH', /other images/],
    ['lacks the image', (text) => text.replace(`"reference": "${IMAGE}"`, '"reference": "docker.io/library/x:1"'), 'LOCK_MISMATCH', /image registry.example.com.*is not in/],
    ['has another origin', (text) => text.replace('oci:./images/app:1', 'registry'), 'LOCK_MISMATCH', /comes from oci:.*in boxship.lock from registry/],
    ['lacks a tool', (text) => text.replace(/"debugfs": "[^"]*"/, ''), 'LOCK_MISMATCH', /debugfs/],
    ['was made with another tool', (text) => text.replace(/"debugfs": "[^"]*"/, '"debugfs": "0.1"'), 'TOOL_VERSION', /debugfs.* made with 0\.1/],
  ])('that %s is refused, with what to do', async (_what, change, code, message) => {
    const path = product.path('boxship.lock');
    expect(change(lock)).not.toBe(lock);
    if (change(lock) === '') await rm(path);
    else await writeFile(path, change(lock));
    const error = await refusal(product.plan()).finally(() => writeFile(path, lock));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.problems[0]!.hint).toMatch(/boxship lock/);
  }); // prettier-ignore

  it('that does not know of a changed Compose file is refused, and names the app', async () => {
    const before = await readFile(product.path('app/compose.yaml'), 'utf8');
    await product.write('app/compose.yaml', `${before}    command: [serve]\n`);
    const error = await refusal(product.plan()).finally(() => product.write('app/compose.yaml', before));
    expect(error).toMatchObject({ code: 'LOCK_MISMATCH', problems: [{ where: { line: 7 } }] });
    expect(error.message).toContain('app "app" was changed');
  });
});

describe('the key', () => {
  const withKeys = async (change: () => Promise<void>) => {
    const { privateKeyPem, publicKeyPem } = product.keys;
    try {
      await change();
      const error = await refusal(product.compose());
      expect(error.problems[0]!.hint).toBeTruthy();
      expect(await exists(product.out)).toBe(false);
      return error;
    } finally {
      process.env['COSIGN_PASSWORD'] = PASSWORD;
      await product.write('release.key', privateKeyPem);
      await product.write('release.pub', publicKeyPem);
      await writeFile(product.file, yaml);
    }
  };

  it('with a wrong password, with none, not there, damaged or of another pair is refused before a byte is written', async () => {
    const set = (value?: string) => async () => {
      if (value === undefined) delete process.env['COSIGN_PASSWORD'];
      else process.env['COSIGN_PASSWORD'] = value;
    };
    expect((await withKeys(set('wrong'))).code).toBe('WRONG_PASSWORD');
    expect((await withKeys(set())).code).toBe('NO_PASSWORD');
    const other = await generateKeyPair({ password: PASSWORD });
    expect((await withKeys(() => product.write('release.key', other.privateKeyPem))).code).toBe('KEY_MISMATCH');
    expect((await withKeys(() => product.write('release.pub', other.publicKeyPem))).code).toBe('KEY_MISMATCH');
    expect((await withKeys(() => rm(product.path('release.pub')))).code).toBe('NO_PUBLIC_KEY');
    expect((await withKeys(() => rm(product.path('release.key')))).code).toBe('NO_SIGNING_KEY');
    expect((await withKeys(() => product.write('release.key', 'no key'))).code).toMatch(/KEY/);
    expect((await withKeys(() => product.write('release.pub', 'no key'))).code).toMatch(/KEY/);
    expect((await withKeys(() => product.edit('boxship.yaml', (text) => text.replace(/signing.*/, '')))).code).toBe('NO_SIGNING_KEY');
  }); // prettier-ignore
});

describe('folders', () => {
  it('two runs at once on one cache and one output folder both end well', async () => {
    await using both = await fearProduct();
    await Promise.all([both.lock(), both.lock()]);
    const results = await Promise.all([both.compose(), both.compose()]);
    for (const [composed] of results) await verifyRelease(composed!.folder, both.keys.publicKeyPem);
    const whole = await both.outputs();
    expect(Object.keys(whole)).toHaveLength(8);
    await both.compose(both.path('alone'));
    expect(await filesBelow(both.path('alone'))).toEqual(whole);
  });

  it('what was changed behind our back is made again; what only --verify sees, with --verify', async () => {
    await using mine = await fearProduct();
    await mine.lock();
    const [{ folder }] = (await mine.compose()) as readonly [ComposedVariant];
    const whole = await mine.outputs();
    const image = `${folder}/acme-1.0.0-tiny-basic.img`;
    const bytes = await readFile(image);
    bytes[5_000_000]! ^= 1;
    await writeFile(image, bytes);
    expect((await mine.compose())[0]!.unchanged).toBe(false);
    expect(await mine.outputs()).toEqual(whole);
    expect((await mine.compose())[0]!.unchanged).toBe(true);

    await rm(`${folder}/release.json.sig`);
    expect((await mine.compose())[0]!.unchanged).toBe(false);
    await writeFile(`${folder}/notes.txt`, 'of nobody');
    const open = await openProduct(mine.file, { cache: mine.cache, progress: silent, version: '0.0.0-test' });
    expect((await composeProduct(open, {}, { out: mine.out, verify: true }))[0]!.unchanged).toBe(false);
    expect(await mine.outputs()).toEqual(whole);
    expect((await composeProduct(open, {}, { out: mine.out, verify: true }))[0]!.unchanged).toBe(true);
  });

  it('an output folder that is a file is refused', async () => {
    await product.write('taken', '');
    await expect(product.compose(product.path('taken'))).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(product.compose(product.path('taken/below'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  });

  it('a file where the release goes is not overwritten in silence', async () => {
    const folder = product.path('occupied/acme-1.0.0');
    await mkdir(folder, { recursive: true });
    await writeFile(`${folder}/tiny-docker-basic`, 'mine');
    expect((await refusal(product.compose(product.path('occupied')))).code).toBe('OUTPUT_TAKEN');
    expect(await readFile(`${folder}/tiny-docker-basic`, 'utf8')).toBe('mine');
  });
});
