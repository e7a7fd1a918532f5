import { open, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';
import {
  builtProgram,
  environmentOf,
  exists,
  fearProduct,
  noise,
  writeImage,
  type FearProduct,
} from './fear-product.ts';

// What a shell and a CI log see: exit codes, messages, JSON. The program is the built one.

const CODES = Array.from({ length: 256 }, (_, code) => code);
const golden = (name: string) => fileURLToPath(new URL(`../golden/${name}`, import.meta.url));

let program = '';
let product: FearProduct;
beforeAll(async () => {
  program = await builtProgram();
  product = await fearProduct({ compression: 'none' }); // zlib's bytes differ between versions of Node
  await run('lock');
});
afterAll(() => product[Symbol.asyncDispose]());

async function run(...args: string[]) {
  const command = [program, '-f', product.file, ...args];
  const env = environmentOf(product);
  const { code, stdout, stderr } = await runProgram(process.execPath, command, { env, accept: CODES });
  return { code, stdout: stdout.toString(), stderr };
}

/** Runs `work` with another content of a file, and puts the file back. */
async function changed(name: string, change: (bytes: Buffer) => string | Uint8Array, work: () => Promise<void>) {
  const before = await readFile(product.path(name));
  await writeFile(product.path(name), change(before));
  try {
    await work();
  } finally {
    await writeFile(product.path(name), before);
  }
}

describe('plan --json', () => {
  it('is as it was', async () => {
    const { code, stdout } = await run('plan', '--json');
    expect(code).toBe(0);
    // of this machine, of this day's key, and what follows from them
    const stable = stdout
      .replaceAll(product.folder, '<folder>')
      .replace(/"debugfs": "[^"]*"/g, '"debugfs": "<version>"')
      .replace(/"boxship": "[^"]*"/g, '"boxship": "<version>"')
      .replace(/"keyId": "[^"]*"/g, '"keyId": "<key>"')
      .replace(/("base": \{\s+"digest": ")sha256:[0-9a-f]+/g, '$1<digest>');
    await expect(stable).toMatchFileSnapshot(golden('plan-tiny.json'));
  });

  it('is an error document with the exit code when the store is too small', async () => {
    await changed('boxship.yaml', (text) => `${text.toString()}store: { size: 2MiB }\n`, async () => {
      const { code, stdout, stderr } = await run('plan', '--json');
      expect({ code, stderr: stderr.includes('error') }).toEqual({ code: 4, stderr: false });
      const { error } = JSON.parse(stdout) as { error: { exitCode: number; problems: { code: string }[] } };
      expect(error).toMatchObject({ exitCode: 4, problems: [{ code: 'STORE_FULL' }] });
    });
  }); // prettier-ignore
});

describe('compose', () => {
  it('with a store that is too small ends with 4, says how much is missing, and writes nothing', async () => {
    await changed('boxship.yaml', (text) => `${text.toString()}store: { size: 2MiB }\n`, async () => {
      const { code, stderr } = await run('compose');
      expect(code).toBe(4);
      expect(stderr).toMatch(/error: variant "basic" of "tiny": 1\.0 MiB are missing.*need 3\.0 MiB, store\.size is 2\.0 MiB\n +The largest layers:\n +1\.5 MiB/);
      expect(stderr).toMatch(/hint: Write store: \{ size: \d+MiB \}/);
      expect(await exists(product.out)).toBe(false);
    });
  }); // prettier-ignore

  it('takes the size that the error asks for', async () => {
    let size = '';
    await changed('boxship.yaml', (text) => `${text.toString()}store: { size: 2MiB }\n`, async () => {
      size = /size: (\d+MiB)/.exec((await run('plan')).stderr)![1]!;
    });
    await changed('boxship.yaml', (text) => `${text.toString()}store: { size: ${size} }\n`, async () => {
      expect((await run('plan')).code).toBe(0);
    });
    const less = `${Number.parseInt(size, 10) - 1}MiB`;
    await changed('boxship.yaml', (text) => `${text.toString()}store: { size: ${less} }\n`, async () => {
      expect((await run('plan')).code).toBe(4);
    });
  }); // prettier-ignore

  it('with a variant or machine that is unknown ends with 1 and names those that are', async () => {
    const variant = await run('compose', '--variant', 'pro');
    expect(variant).toMatchObject({ code: 1, stderr: 'error: there is no variant "pro"\n  hint: Known: basic.\n' });
    expect((await run('plan', '--machine', 'huge')).stderr).toContain('there is no machine "huge"');
  });

  it('tells every mistake of the lock at once', async () => {
    const spoil = (text: Buffer) => text.toString().replace('./vendor.img', './x.img').replace('"acme"', '"other"');
    await changed('boxship.lock', spoil, async () => {
      const { code, stderr } = await run('compose');
      expect(code).toBe(1);
      expect(stderr).toMatch(/^2 errors$/m);
      expect(stderr.match(/hint: Run: boxship lock/g)).toHaveLength(2);
    });
  });
});

describe('lock --frozen', () => {
  it('changes nothing when all is as it was', async () => {
    const before = await readFile(product.path('boxship.lock'));
    const { code, stdout } = await run('lock', '--frozen');
    expect({ code, last: stdout.trim().split('\n').at(-1) }).toEqual({
      code: 0,
      last: `unchanged ${product.path('boxship.lock')}`,
    });
    expect(await readFile(product.path('boxship.lock'))).toEqual(before);
  });

  it('refuses a base image that was changed, with both digests', async () => {
    const flip = (bytes: Buffer) => {
      bytes[70_000]! ^= 1;
      return Buffer.from(bytes);
    };
    const original = await readFile(product.path('vendor.img'));
    await changed('vendor.img', flip, async () => {
      const { code, stderr } = await run('lock', '--frozen');
      expect(code).toBe(1);
      expect(stderr).toMatch(/the base image \.\/vendor\.img has the digest sha256:.*boxship\.lock says sha256:/);
    });
    await writeFile(product.path('vendor.img'), original);
  });

  it('refuses a product file that asks for something else', async () => {
    await changed('boxship.yaml', (text) => text.toString().replace('./vendor.img', './release.pub'), async () => {
      const { code, stderr } = await run('lock', '--frozen');
      expect(code).toBe(1);
      expect(stderr).toMatch(/boxship\.yaml:5:3: boxship\.lock has another base for "tiny"\n {2}hint: Run: boxship lock/);
    });
  }); // prettier-ignore

  it('refuses a local image that was built anew', async () => {
    const index = await readFile(product.path('images/app/index.json'));
    writeImage(product.path('images/app'), [[{ name: 'bin/app', body: noise(1000, 9) }]]);
    const { code, stderr } = await run('lock', '--frozen');
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /registry\.example\.com\/acme\/app:1 for linux\/amd64 has the manifest .*boxship\.lock says/,
    );
    await writeFile(product.path('images/app/index.json'), index);
    expect((await run('lock', '--frozen')).code).toBe(0);
  });
});

describe('verify', () => {
  it('ends with 3 for one byte anywhere in the release', async () => {
    await run('compose');
    const folder = `${product.out}/acme-1.0.0/tiny-docker-basic`;
    const verify = () => run('verify', folder, '--key', product.path('release.pub'));
    expect((await verify()).code).toBe(0);
    for (const name of Object.keys(await product.outputs()).map((path) => path.split('/').at(-1)!)) {
      const handle = await open(`${folder}/${name}`, 'r+');
      const byte = Buffer.alloc(1);
      await handle.read(byte, 0, 1, 40);
      await handle.write(Buffer.from([byte[0]! ^ 1]), 0, 1, 40);
      const { code, stderr } = await verify();
      expect({ name, code }).toEqual({ name, code: 3 });
      expect(stderr).toContain(name.replace(/\.(sig|sigstore\.json)$/, ''));
      await handle.write(byte, 0, 1, 40);
      await handle.close();
    }
    expect((await verify()).code).toBe(0);
    expect((await run('compose')).stdout).toMatch(/^(un)?(changed|composed) /m);
  });
});
