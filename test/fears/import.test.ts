import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readProductFile } from '@boxship/catalog';
import { runProgram } from '@boxship/host';
import { writeTar } from '../fixtures/images/tar-writer.mjs';
import { builtProgram, environmentOf, fearProduct, type FearProduct } from './fear-product.ts';

/* boxship import: what a team has becomes a product file that the other commands read; nothing is lost without a word. */

const CODES = Array.from({ length: 256 }, (_, code) => code);
const golden = (name: string) => fileURLToPath(new URL(`../golden/import/${name}`, import.meta.url));

let program = '';
let product: FearProduct;
beforeAll(async () => {
  program = await builtProgram();
  product = await fearProduct();
  await product.write('gateway/compose.yaml', 'services:\n  gateway: {image: "acme/gateway:1.4", secrets: [token]}\nsecrets: {token: {file: ./token}}\n'); // prettier-ignore
  await product.write('gateway/device.yaml', 'services: {gateway: {restart: always}}\n');
  await product.write('gateway/images.tar', save(['acme/gateway:1.4', 'acme/unused:2']));
});
afterAll(() => product[Symbol.asyncDispose]());

/** What `docker save` writes before docker 25, as far as its index goes. */
function save(names: readonly string[]): Buffer {
  const items = names.map((name, at) => ({ Config: `${at}.json`, RepoTags: [name], Layers: [] }));
  return writeTar([{ name: 'manifest.json', mode: 0o644, body: Buffer.from(JSON.stringify(items)) }]);
}

async function run(file: string, ...args: string[]) {
  await rm(product.path(file), { force: true });
  const command = [program, '-f', product.path(file), 'import', ...args];
  const result = await runProgram(process.execPath, command, { env: environmentOf(product), accept: CODES, cwd: product.folder }); // prettier-ignore
  return { code: result.code, output: `${result.stdout.toString()}${result.stderr}`.replaceAll(product.folder, '') };
}

describe('import', () => {
  it('of Compose files and an archive is a product file that is read', async () => {
    const { code, output } = await run('new.yaml', 'gateway/compose.yaml', 'gateway/device.yaml', 'gateway/images.tar', '--product', 'acme', '--machine', 'qemux86-64', '--base', 'vendor.img'); // prettier-ignore
    expect({ code, output }).toMatchObject({ code: 0 });
    expect(output).toContain('no service runs the image acme/unused:2');
    await expect(await readFile(product.path('new.yaml'), 'utf8')).toMatchFileSnapshot(golden('compose.yaml'));
    const read = await readProductFile(product.path('new.yaml'));
    expect(read.apps[0]).toMatchObject({ compose: './gateway/compose.yaml', overrides: ['./gateway/device.yaml'] });
  });

  it('of a tcbuild.yaml tells what it leaves out, each with its line', async () => {
    const text = [
      'input:',
      '  easy-installer:',
      '    local: images/verdin.tar',
      'customization:',
      '  splash-screen: splash.png',
      '  kernel:',
      '    arguments: [quiet]',
      'output:',
      '  easy-installer:',
      '    local: out',
      '    name: "Acme"',
      '    bundle:',
      '      compose-file: gateway/compose.yaml',
      '      platform: linux/arm64',
      '      username: me',
      '      password: hunter2',
    ].join('\n');
    await product.write('tcbuild.yaml', `${text}\n`);
    const { code, output } = await run('new.yaml', 'tcbuild.yaml', '--product', 'acme', '--machine', 'verdin');
    expect({ code, output }).toMatchObject({ code: 0 });
    await expect(await readFile(product.path('new.yaml'), 'utf8')).toMatchFileSnapshot(golden('tcbuild.yaml'));
    await readProductFile(product.path('new.yaml'));
    const left = [...output.matchAll(/tcbuild\.yaml:(\d+):\d+: (\S+) is not taken over/g)].map(([, line, key]) => `${line} ${key}`); // prettier-ignore
    expect(left).toEqual([
      '5 customization.splash-screen',
      '6 customization.kernel',
      '10 output.easy-installer.local',
      '15 output.easy-installer.bundle.username',
      '16 output.easy-installer.bundle.password',
    ]);
    expect(output).not.toContain('hunter2');
  });

  it('never writes over a file, and says what it cannot read', async () => {
    const before = await readFile(product.file, 'utf8');
    const command = [program, '-f', product.file, 'import', 'gateway/compose.yaml'];
    const { code, stderr } = await runProgram(process.execPath, command, { env: environmentOf(product), accept: CODES, cwd: product.folder }); // prettier-ignore
    expect({ code, told: /already/.test(stderr) }).toEqual({ code: 1, told: true });
    expect(await readFile(product.file, 'utf8')).toBe(before);
    await mkdir(product.path('other'), { recursive: true });
    await writeFile(product.path('other/thing.yaml'), 'a: 1\n');
    expect((await run('new.yaml', 'other/thing.yaml')).output).toContain(
      'is neither a Compose file nor a tcbuild.yaml',
    );
    expect((await run('new.yaml', 'gateway/images.tar')).output).toContain('acme/gateway:1.4, acme/unused:2');
    expect((await run('new.yaml', 'none.yaml')).code).toBe(1);
  });
});
