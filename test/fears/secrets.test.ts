import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';
import { IMAGE, PASSWORD, builtProgram, environmentOf, fearProduct, type FearProduct } from './fear-product.ts';
import { generateKeyPair } from 'cosign-node-binding';

/* A secret is on the device. Where it is baked into an image for trying things, it is nowhere else. */

const SECRET = 'correct-horse-battery-staple';
const CODES = Array.from({ length: 256 }, (_, code) => code);
const DEVICE = '  app: { compose: ./app/compose.yaml }';

let program = '';
let product: FearProduct;
/** All that the program has printed. */
let printed = '';
beforeAll(async () => {
  program = await builtProgram();
  product = await fearProduct();
  await product.write('app/compose.yaml', `services:\n  app:\n    image: ${IMAGE}\n    secrets: [token]\nsecrets: {token: {file: ./token}}\n`); // prettier-ignore
  await product.write('app/token', SECRET);
});
afterAll(() => product[Symbol.asyncDispose]());

async function run(...args: string[]) {
  const env = environmentOf(product);
  const result = await runProgram(process.execPath, [program, '-f', product.file, ...args], { env, accept: CODES });
  const output = `${result.stdout.toString()}${result.stderr}`;
  printed += output;
  return { code: result.code, output };
}

/** Files below a folder of the product that hold the secret. */
async function holders(folder: string): Promise<string[]> {
  const entries = await readdir(product.path(folder), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const found: string[] = [];
  for (const file of files) if ((await readFile(file)).includes(SECRET)) found.push(file);
  return found;
}

describe('a secret', () => {
  it('is in no file that is made, and the plan says where the device has it', async () => {
    expect(await run('lock')).toMatchObject({ code: 0 });
    const plan = await run('plan');
    expect(plan.output).toContain('on the device: /run/boxship/data/secrets/app/token');
    expect(await run('compose', '--out', product.path('device'))).toMatchObject({ code: 0 });
    expect(await holders('device')).toEqual([]);
    expect((await readFile(product.path('boxship.lock'))).includes(SECRET)).toBe(false);
  });

  it('that is baked is in the image alone, and the plan says so', async () => {
    await product.edit('boxship.yaml', (text) => text.replace(DEVICE, '  app: { compose: ./app/compose.yaml, secrets: { token: { bake: true } } }')); // prettier-ignore
    expect(await run('lock')).toMatchObject({ code: 0 });
    const plan = await run('plan', '-v');
    expect(plan.output).toMatch(/app\/token +BAKED INTO THE IMAGE/);
    const json = await run('plan', '--json');
    expect(json.output).toContain('"from": "image"');
    expect(await run('compose', '--out', product.path('baked'), '--json', '-v')).toMatchObject({ code: 0 });
    const files = await holders('baked');
    expect(files).toHaveLength(1);
    expect(files[0]).toMatch(/\.img$/);
    expect((await readFile(product.path('boxship.lock'))).includes(SECRET)).toBe(false);
  });

  it('that is baked is refused for a release, at its place in boxship.yaml', async () => {
    const keys = await generateKeyPair({ password: PASSWORD });
    await product.write('release.key', keys.privateKeyPem);
    await product.write('release.pub', keys.publicKeyPem);
    const { code, output } = await run('compose', '--release', '--out', product.path('release'));
    expect(code).toBe(1);
    expect(output).toContain('the secret "token" of the app "app" would be in the image');
    expect(output).toMatch(/boxship\.yaml:7:\d+/);
    await expect(readdir(product.path('release'))).rejects.toThrow();
  });

  it('was never printed', () => {
    expect(printed.length).toBeGreaterThan(1000);
    expect(printed).not.toContain(SECRET);
  });

  it('that no service reads is a mistake in boxship.yaml', async () => {
    await product.edit('boxship.yaml', (text) => text.replace('token: { bake: true }', 'tokn: { file: t }'));
    const { code, output } = await run('plan');
    expect(code).toBe(1);
    expect(output).toContain('no service of the app "app" reads a secret "tokn"');
  });
});
