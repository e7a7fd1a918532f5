import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  DEVELOPMENT,
  generateKeyPair,
  importPrivateKey,
  isDevelopmentKey,
  loadPrivateKey,
  parsePublicKey,
  signBlob,
  signStatement,
  verifyBlob,
  verifyStatement,
} from './index.ts';

const PASSWORD = 'correct horse';
const BLOB = Buffer.from('the bytes of an artifact\n');
/** Without a trust root cosign 2.5 asks the network for one. */
const EMPTY_ROOT = '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}';

interface RealCosign {
  readonly suite: string;
  readonly version: RegExp;
  readonly signArgs: readonly string[];
  readonly verifyBundleArgs: readonly string[];
}

/** The two lines of cosign in use; their offline flags differ. */
const cosigns: readonly RealCosign[] = [
  {
    suite: 'trixie',
    version: /^2\.5\./,
    signArgs: ['--new-bundle-format', '--tlog-upload=false'],
    verifyBundleArgs: ['--new-bundle-format', '--trusted-root', 'empty-root.json', '--insecure-ignore-tlog'],
  },
  {
    suite: 'sid',
    version: /^3\./,
    signArgs: ['--use-signing-config=false', '--tlog-upload=false'],
    verifyBundleArgs: ['--insecure-ignore-tlog'],
  },
];

/** An in-toto statement v1 about the blob, with SLSA's provenance v1 as predicate. */
const STATEMENT = JSON.stringify({
  _type: 'https://in-toto.io/Statement/v1',
  subject: [{ name: 'blob', digest: { sha256: createHash('sha256').update(BLOB).digest('hex') } }],
  predicateType: 'https://slsa.dev/provenance/v1',
  predicate: {
    buildDefinition: { buildType: 'https://boxship.example/test', externalParameters: {} },
    runDetails: { builder: { id: 'https://boxship.example/builder' } },
  },
});

/** Where `tools/setup/debian-tools.mjs` unpacks it. */
function cosignProgram(suite: string): string {
  const root = process.env['BOXSHIP_TEST_CACHE'] || join(homedir(), '.cache', 'boxship-test');
  return join(root, 'tools', `cosign-${suite}`, 'usr/bin/cosign');
}

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cosign-node-binding-'));
  await writeFile(join(folder, 'empty-root.json'), EMPTY_ROOT);
  await writeFile(join(folder, 'blob'), BLOB);
  await writeFile(join(folder, 'other'), 'the bytes of another artifact\n');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function run(program: string, ...args: readonly string[]): Promise<string> {
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder, COSIGN_PASSWORD: PASSWORD, COSIGN_YES: 'true' };
  const { stdout, stderr } = await promisify(execFile)(program, args, { cwd: folder, env, timeout: 60_000 });
  return stdout + stderr;
}

const text = (name: string) => readFile(join(folder, name), 'utf8');
const write = (name: string, content: string | Uint8Array) => writeFile(join(folder, name), content);

/** Key pairs of every origin: what they are called, and the private key that they are made from. */
const origins: readonly { name: string; make?: readonly string[] }[] = [
  { name: 'generated' },
  { name: 'PKCS#8 P-256', make: ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'] },
  { name: 'SEC1 P-256', make: ['ecparam', '-name', 'prime256v1', '-genkey'] },
  { name: 'PKCS#8 RSA 2048', make: ['genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'] },
  { name: 'PKCS#1 RSA 3072', make: ['genrsa', '-traditional', '3072'] },
];

for (const cosign of cosigns) {
  const program = cosignProgram(cosign.suite);
  const missing = !existsSync(program);
  const title = `cosign of Debian ${cosign.suite}`;

  if (missing) {
    it(`${title} is there`, (context) => {
      const hint = `run node tools/setup/debian-tools.mjs cosign/${cosign.suite}`;
      if (process.env['CI'] === 'true') throw new Error(`${program} is missing: ${hint}`);
      context.skip(hint);
    });
  }

  describe.skipIf(missing)(title, () => {
    const verifyRaw = (blob = 'blob') =>
      run(program, 'verify-blob', '--key', 'our.pub', '--insecure-ignore-tlog', '--signature', 'our.sig', blob);
    const verifyBundle = (blob = 'blob', bundle = 'our.json') =>
      run(program, 'verify-blob', '--key', 'our.pub', ...cosign.verifyBundleArgs, '--bundle', bundle, blob);
    const signReal = (key: string) =>
      run(program, 'sign-blob', ...cosign.signArgs, '--key', key, '--bundle', 'real.json', 'blob');

    it('is the version that this test is about', async () => {
      // Debian builds it without a version of its own: `cosign version` says "devel"
      const record = JSON.parse(await readFile(join(program, '../../../boxship-package.json'), 'utf8')) as {
        version: string;
      };
      expect(record.version).toMatch(cosign.version);
    });

    it.each(origins)(
      'verifies what a key signs, and signs with it for us: $name, marked for development',
      async ({ make }) => {
        const options = { password: PASSWORD, metadata: DEVELOPMENT };
        const pair = make
          ? await importPrivateKey(
              execFileSync('openssl', [...make], { stdio: ['ignore', 'pipe', 'ignore'] }).toString(),
              options,
            )
          : await generateKeyPair(options);
        await write('our.key', pair.privateKeyPem);
        await write('our.pub', pair.publicKeyPem);
        const signer = await loadPrivateKey(pair.privateKeyPem, PASSWORD);
        const signature = await signBlob(signer, BLOB);
        await write('our.sig', signature.raw);
        await write('our.json', signature.bundle);
        await write('our.der', signature.bytes);

        expect(await verifyRaw()).toContain('Verified OK');
        expect(await verifyBundle()).toContain('Verified OK');
        await expect(verifyRaw('other')).rejects.toThrow();
        await expect(verifyBundle('other')).rejects.toThrow();
        const openssl = ['dgst', '-sha256', '-verify', 'our.pub', '-signature', 'our.der', 'blob'];
        expect(await run('openssl', ...openssl)).toContain('Verified OK');

        // cosign opens the marked key and sees the same public key in it
        expect(await run(program, 'public-key', '--key', 'our.key')).toContain(
          parsePublicKey(pair.publicKeyPem).publicKeyPem.replace(/^#.*\n/gm, ''),
        );
        await signReal('our.key');
        const verified = await verifyBlob(pair.publicKeyPem, await text('real.json'), BLOB);
        expect(verified).toEqual({
          keyId: signer.keyId,
          digest: createHash('sha256').update(BLOB).digest(),
          form: 'bundle',
        });
      },
    );

    it('makes keys that we load, and signatures that we verify', async () => {
      await run(program, 'generate-key-pair', '--output-key-prefix', `real-${cosign.suite}`);
      const privateKeyPem = await text(`real-${cosign.suite}.key`);
      const publicKeyPem = await text(`real-${cosign.suite}.pub`);
      const signer = await loadPrivateKey(privateKeyPem, PASSWORD);
      expect(signer.publicKeyPem).toBe(publicKeyPem);
      expect(isDevelopmentKey(privateKeyPem)).toBe(false);
      expect(isDevelopmentKey(publicKeyPem)).toBe(false);
      await expect(loadPrivateKey(privateKeyPem, 'wrong')).rejects.toMatchObject({ code: 'WRONG_PASSWORD' });

      await signReal(`real-${cosign.suite}.key`);
      const bundle = await text('real.json');
      expect((await verifyBlob(publicKeyPem, bundle, BLOB)).form).toBe('bundle');
      await expect(verifyBlob(publicKeyPem, bundle, Buffer.from('x'))).rejects.toMatchObject({
        code: 'DIGEST_MISMATCH',
      });

      await copyFile(join(folder, `real-${cosign.suite}.pub`), join(folder, 'our.pub'));
      const ours = await signBlob(signer, BLOB);
      await write('our.json', ours.bundle);
      expect(await verifyBundle()).toContain('Verified OK');
    });

    it('verifies a statement that we sign, and makes one that we verify', async () => {
      const pair = await generateKeyPair({ password: PASSWORD });
      await write('our.key', pair.privateKeyPem);
      await write('our.pub', pair.publicKeyPem);
      const signer = await loadPrivateKey(pair.privateKeyPem, PASSWORD);
      const ours = await signStatement(signer, STATEMENT);
      await write('our.json', ours);
      const verify = (bundle: string, blob: string) =>
        run(program, 'verify-blob-attestation', '--key', 'our.pub', ...cosign.verifyBundleArgs, '--type', 'slsaprovenance1', '--bundle', bundle, blob);
      expect(await verify('our.json', 'blob')).toContain('Verified OK');
      await expect(verify('our.json', 'other')).rejects.toThrow(); // it speaks of another artifact
      await write('changed.json', ours.replace(/("sig":".{40})(.)/, (_, head: string, one: string) => head + (one === 'A' ? 'B' : 'A')));
      await expect(verify('changed.json', 'blob')).rejects.toThrow();
      expect(verifyStatement(pair.publicKeyPem, ours)).toEqual({ keyId: signer.keyId, statement: STATEMENT });

      await write('predicate.json', '{"colour":"blue"}');
      const attest = ['attest-blob', ...cosign.signArgs, '--key', 'our.key', '--type', 'https://boxship.example/colour/v1'];
      await run(program, ...attest, '--predicate', 'predicate.json', '--bundle', 'real.json', 'blob');
      const { statement } = verifyStatement(pair.publicKeyPem, await text('real.json'));
      const digest = { sha256: createHash('sha256').update(BLOB).digest('hex') };
      expect(JSON.parse(statement)).toMatchObject({ subject: [{ digest }], predicate: { colour: 'blue' } });
    }); // prettier-ignore

    it('refuses the bundle of another key, as we do', async () => {
      const [one, two] = [await generateKeyPair({ password: '' }), await generateKeyPair({ password: '' })];
      const { bundle } = await signBlob(await loadPrivateKey(one.privateKeyPem, ''), BLOB);
      await write('our.json', bundle);
      await write('our.pub', two.publicKeyPem);
      await expect(verifyBundle()).rejects.toThrow();
      await expect(verifyBlob(two.publicKeyPem, bundle, BLOB)).rejects.toMatchObject({ code: 'KEY_MISMATCH' });
    });
  });
}

const real2 = cosignProgram('trixie');
describe.skipIf(!existsSync(real2))('forms of cosign 2.5 that only it writes', () => {
  it('verifies its raw signature, and refuses its legacy bundle', async () => {
    await run(real2, 'generate-key-pair', '--output-key-prefix', 'legacy');
    const args = [
      '--tlog-upload=false',
      '--key',
      'legacy.key',
      '--output-signature',
      'legacy.sig',
      '--bundle',
      'legacy.json',
    ];
    await run(real2, 'sign-blob', ...args, 'blob');
    const key = await text('legacy.pub');
    expect((await verifyBlob(key, await text('legacy.sig'), BLOB)).form).toBe('raw');
    await expect(verifyBlob(key, await text('legacy.json'), BLOB)).rejects.toMatchObject({ code: 'LEGACY_BUNDLE' });
  });
});

const real3 = cosignProgram('sid');
describe.skipIf(!existsSync(real3))('keys that cosign 3 imports', () => {
  // Debian's cosign 2.5 refuses every key: "unsupported public key type"
  it.each(origins.slice(1).filter(({ name }) => !name.startsWith('SEC1')))('load here: $name', async ({ make }) => {
    await write('plain.pem', execFileSync('openssl', [...make!], { stdio: ['ignore', 'pipe', 'ignore'] }));
    await rm(join(folder, 'imported.key'), { force: true });
    await rm(join(folder, 'imported.pub'), { force: true });
    await run(real3, 'import-key-pair', '--key', 'plain.pem', '--output-key-prefix', 'imported');
    const signer = await loadPrivateKey(await text('imported.key'), PASSWORD);
    expect(signer.publicKeyPem).toBe(await text('imported.pub'));
    const ours = await importPrivateKey(await text('plain.pem'), { password: PASSWORD });
    expect(ours.publicKeyPem).toBe(signer.publicKeyPem);
  });
});
