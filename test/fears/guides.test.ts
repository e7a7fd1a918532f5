import { chmod, mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runProgram } from '@boxship/host';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildTinyBase } from '../fixtures/tiny-base/build.mjs';
import { builtProgram, GOOD_LAYERS, PASSWORD, writeImage } from './fear-product.ts';

// The guides, walked as they stand: each file that they show is written, each shell block runs, in their order.

const CODES = Array.from({ length: 256 }, (_, code) => code);

interface Block {
  readonly language: string;
  readonly text: string;
  readonly line: number;
}

const guide = (name: string) => readFile(fileURLToPath(new URL(`../../docs/${name}`, import.meta.url)), 'utf8');

/** The fenced blocks of a Markdown text. */
function blocksOf(markdown: string): readonly Block[] {
  return [...markdown.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(({ 1: language = '', 2: text = '', index }) => ({
    language,
    text,
    line: markdown.slice(0, index).split('\n').length + 1,
  }));
}

let folder = '';
let bin = '';
beforeAll(async () => {
  const program = await builtProgram();
  folder = await mkdtemp(join(tmpdir(), 'boxship-fear-'));
  bin = join(folder, 'bin');
  await write('bin/boxship', `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`);
  await chmod(join(bin, 'boxship'), 0o755);
  await mkdir(join(folder, 'bsp'));
  buildTinyBase(join(folder, 'bsp/vendor.img'));
  writeImage(join(folder, 'images/gateway'), GOOD_LAYERS);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function write(name: string, text: string): Promise<void> {
  await mkdir(dirname(join(folder, name)), { recursive: true });
  await writeFile(join(folder, name), text);
}

/** Runs a block as a person pastes it, but stops at the first command that fails. */
async function walk(name: string, block: Block, env: Readonly<Record<string, string>> = {}): Promise<string> {
  const { code, stdout, stderr } = await runProgram('sh', ['-euc', block.text], {
    cwd: folder,
    env: {
      PATH: `${bin}:${process.env['PATH']}`,
      BOXSHIP_CACHE: join(folder, 'cache'),
      COSIGN_PASSWORD: PASSWORD,
      ...env,
    },
    accept: CODES,
  });
  expect(code, `docs/${name}:${block.line}\n${block.text}\n${stderr}`).toBe(0);
  return stdout.toString();
}

describe('the guide', () => {
  it('for the product team leads from nothing to a signed release, and on to the next one', async () => {
    const name = 'guide-product-team.md';
    const text = await guide(name);
    const blocks = blocksOf(text);
    const shown = blocks.filter(({ language }) => language === 'yaml');
    const files = ['boxship.yaml', 'apps/gateway/compose.yaml'];
    expect(shown).toHaveLength(files.length);
    expect(files.map((file) => text.includes(`\`${file}\``))).toEqual([true, true]);
    for (const block of blocks) {
      if (block.language === 'yaml') await write(files[shown.indexOf(block)]!, block.text);
      if (block.language === 'sh') await walk(name, block);
    }
    const release = join(folder, 'deploy/acme-gateway-0.2.0/qemux86-64-docker-basic/release.json');
    expect(JSON.parse(await readFile(release, 'utf8'))).toMatchObject({ development: false });
  });

  it('for the build server makes and checks that release again', async () => {
    const name = 'guide-build-server.md';
    await rename(join(folder, 'deploy'), join(folder, 'deploy-of-a-person'));
    const [job, ...others] = blocksOf(await guide(name)).filter(({ language }) => language === 'sh');
    expect(others).toEqual([]);
    const path = 'deploy/acme-gateway-0.2.0/qemux86-64-docker-basic';
    await walk(name, job!, { folder: path, RELEASE_KEY_PASSWORD: PASSWORD });
    const list = JSON.parse(await readFile(join(folder, 'release-list.json'), 'utf8')) as { variants: object[] };
    expect(list.variants).toMatchObject([{ name: 'basic', machine: 'qemux86-64', unchanged: false }]);
    const bytes = (where: string) => readFile(join(folder, where, `qemux86-64-docker-basic/release.json`));
    expect(await bytes('deploy/acme-gateway-0.2.0')).toEqual(await bytes('deploy-of-a-person/acme-gateway-0.2.0'));
  });

  it('from product file to bitbake generates, checks and bundles', async () => {
    const name = 'guide-product-file-to-bitbake.md';
    const blocks = blocksOf(await guide(name));
    const file = blocks.find(({ language }) => language === 'yaml')!;
    // the images of the sample are in a layout
    const images = 'images:\n  registry.example.com/acme/gateway:1: { from: "oci:./images/gateway:1" }\n';
    await write('boxship.yaml', file.text + images);
    // what needs bitbake or a network is walked by `npm run test:yocto`
    const elsewhere = /^(cd |kas |bitbake|\. bitbake)|--pin/;
    const lines = blocks.filter(({ language }) => language === 'sh').flatMap((block) => {
      const here = block.text.split('\n').filter((line) => !elsewhere.test(line)).join('\n');
      return [{ ...block, text: here }];
    }); // prettier-ignore
    expect(lines.map(({ text }) => text.match(/boxship \w+/g) ?? []).flat()).toEqual([
      'boxship layer',
      'boxship lock',
      'boxship store',
      'boxship layer',
    ]);
    for (const block of lines) {
      if (block.text.includes('boxship store')) await write('boxship.yaml', `${file.text.trimEnd()}\n  bundle: build\n${images}`); // prettier-ignore
      await walk(name, block);
    }
    const pinned = await readdir(join(folder, 'yocto/meta-acme-gateway'), { recursive: true });
    expect(pinned.filter((path) => /bundle.*\.bb$/.test(path))).toHaveLength(1);
  });
});
