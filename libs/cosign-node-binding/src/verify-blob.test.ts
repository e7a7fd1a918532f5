/* eslint-disable @typescript-eslint/no-explicit-any -- JSON that is damaged at will */
import { generateKeyPairSync, randomBytes, sign as opensslSign } from 'node:crypto';
import { bundleToJSON, toDSSEBundle, toMessageSignatureBundle } from '@sigstore/bundle';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  generateKeyPair,
  importPrivateKey,
  loadPrivateKey,
  parsePublicKey,
  signBlob,
  verifyBlob,
  verifyDigest,
  type BlobSignature,
} from './index.ts';

const BLOB = randomBytes(4096);
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
let key: string;
let signature: BlobSignature;

beforeAll(async () => {
  const pair = await generateKeyPair({ password: '' });
  key = pair.publicKeyPem;
  signature = await signBlob(await loadPrivateKey(pair.privateKeyPem, ''), BLOB);
});

/** The bundle with one thing changed. */
function changed(change: (bundle: any) => unknown): string {
  const bundle: unknown = JSON.parse(signature.bundle);
  change(bundle);
  return JSON.stringify(bundle);
}

describe('a good signature', () => {
  it('is taken raw, with the newline of a shell, as bytes, as bundle, for a blob, a stream and a digest', async () => {
    for (const form of [
      signature.raw,
      `${signature.raw}\n`,
      Buffer.from(signature.raw),
      signature.bundle,
      Buffer.from(signature.bundle),
    ]) {
      expect((await verifyBlob(key, form, BLOB)).keyId).toBe(signature.keyId);
      expect((await verifyBlob(parsePublicKey(key), form, chunks())).keyId).toBe(signature.keyId);
      expect(verifyDigest(key, form, signature.digest).digest).toEqual(signature.digest);
    }
    async function* chunks() {
      yield BLOB.subarray(0, 1000);
      yield BLOB.subarray(1000);
    }
  });

  it('of an OpenSSL key is taken with either s, as openssl and Go do', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const compact = opensslSign('sha256', BLOB, { key: privateKey, dsaEncoding: 'ieee-p1363' });
    const s = BigInt(`0x${compact.subarray(32).toString('hex')}`);
    for (const each of [s, ORDER - s]) {
      const der = Buffer.concat([
        integer(compact.subarray(0, 32)),
        integer(Buffer.from(each.toString(16).padStart(64, '0'), 'hex')),
      ]);
      const raw = Buffer.concat([Buffer.from([0x30, der.length]), der]).toString('base64');
      expect((await verifyBlob(pem, raw, BLOB)).form).toBe('raw');
    }
    function integer(bytes: Buffer): Buffer {
      const short = bytes.subarray(bytes.findIndex((byte) => byte !== 0));
      const content = short[0]! >= 0x80 ? Buffer.concat([Buffer.of(0), short]) : short;
      return Buffer.concat([Buffer.of(2, content.length), content]);
    }
  });

  it('with a transparency log entry is taken for its key', async () => {
    const bundle = changed((json) => (json.verificationMaterial.tlogEntries = [{ logIndex: '1' }]));
    expect((await verifyBlob(key, bundle, BLOB)).form).toBe('bundle');
  });
});

describe('refused', () => {
  const refuse = async (code: string, form: string | Uint8Array, blob: Uint8Array = BLOB) =>
    await expect(verifyBlob(key, form, blob)).rejects.toMatchObject({ name: 'CosignError', code });

  it('a changed blob', async () => {
    const other = Buffer.from(BLOB);
    other[4095]! ^= 1;
    await refuse('SIGNATURE_MISMATCH', signature.raw, other);
    await refuse('DIGEST_MISMATCH', signature.bundle, other);
    await refuse('SIGNATURE_MISMATCH', signature.raw, Buffer.alloc(0));
  });

  it('a changed digest in the bundle of a changed blob', async () => {
    const { digest } = await signBlob(
      await loadPrivateKey((await generateKeyPair({ password: '' })).privateKeyPem, ''),
      Buffer.from('x'),
    );
    const bundle = changed(
      (json) => (json.messageSignature.messageDigest.digest = Buffer.from(digest).toString('base64')),
    );
    await refuse('SIGNATURE_MISMATCH', bundle, Buffer.from('x'));
    await refuse('DIGEST_MISMATCH', bundle);
  });

  it('a signature with any one byte changed', async () => {
    for (let at = 0; at < signature.bytes.length; at += 1) {
      const bytes = Buffer.from(signature.bytes);
      bytes[at]! ^= 0x40;
      const raw = bytes.toString('base64');
      await expect(verifyBlob(key, raw, BLOB)).rejects.toMatchObject({
        code: expect.stringMatching(/^(BAD_SIGNATURE|SIGNATURE_MISMATCH)$/),
      });
    }
  });

  it.each([
    ['nothing', ''],
    ['white space', ' \n'],
    ['hexadecimal', 'zz'],
    ['URL-safe base64', '_-_-'],
    ['base64 with bits left over', 'QQB='],
    ['base64 of noise', Buffer.from('noise').toString('base64')],
    ['r and s of 0', Buffer.from('3006020100020100', 'hex').toString('base64')],
    ['megabytes', 'A'.repeat(2 ** 21)],
  ])('as raw signature: %s', async (_, raw) => {
    await refuse('BAD_SIGNATURE', raw);
  });

  it('a signature with bytes behind it, or as bare DER in place of base64', async () => {
    await refuse('BAD_SIGNATURE', Buffer.concat([signature.bytes, Buffer.of(0)]).toString('base64'));
    await refuse('BAD_SIGNATURE', signature.bytes);
  });

  it('the bundle and the raw signature of another key', async () => {
    const other = await signBlob(
      await loadPrivateKey((await generateKeyPair({ password: '' })).privateKeyPem, ''),
      BLOB,
    );
    await refuse('KEY_MISMATCH', other.bundle);
    await refuse('SIGNATURE_MISMATCH', other.raw);
    // a bundle that only claims the right key
    await refuse('SIGNATURE_MISMATCH', other.bundle.replace(other.keyId, signature.keyId));
  });

  it('a bundle of a certificate, a chain, or a certificate beside the key', async () => {
    const parts = {
      digest: Buffer.from(signature.digest),
      signature: Buffer.from(signature.bytes),
      certificate: randomBytes(300),
    };
    const bundle = (certificateChain: boolean) =>
      JSON.stringify(bundleToJSON(toMessageSignatureBundle({ ...parts, certificateChain })));
    await refuse('CERTIFICATE_BUNDLE', bundle(false));
    await refuse('BUNDLE_VERSION', bundle(true)); // chains are written as v0.2
    await refuse(
      'CERTIFICATE_BUNDLE',
      bundle(true).replace(/"application[^"]*"/, '"application/vnd.dev.sigstore.bundle.v0.3+json"'),
    );
    await refuse(
      'CERTIFICATE_BUNDLE',
      changed((json) => (json.verificationMaterial.certificate = { rawBytes: 'AAAA' })),
    );
  });

  it('the legacy blob bundle, which can carry its own key', async () => {
    const legacy = { base64Signature: signature.raw, cert: Buffer.from(key).toString('base64'), rekorBundle: null };
    await refuse('LEGACY_BUNDLE', JSON.stringify(legacy));
    await refuse(
      'LEGACY_BUNDLE',
      changed((json) => (json.cert = 'x')),
    );
  });

  it('an attestation', async () => {
    const parts = {
      artifact: BLOB,
      artifactType: 'x',
      signature: Buffer.from(signature.bytes),
      keyHint: signature.keyId,
      certificateChain: false,
    };
    await refuse('NOT_A_BLOB_SIGNATURE', JSON.stringify(bundleToJSON(toDSSEBundle(parts))));
  });

  it.each([
    'application/vnd.dev.sigstore.bundle+json;version=0.1',
    'application/vnd.dev.sigstore.bundle+json;version=0.2',
    'application/vnd.dev.sigstore.bundle+json;version=0.3',
    'application/vnd.dev.sigstore.bundle.v0.4+json',
    null,
    undefined,
  ])('a bundle of media type %s', async (mediaType) => {
    await refuse(
      'BUNDLE_VERSION',
      changed((json) => (json.mediaType = mediaType)),
    );
  });

  it.each<[string, (json: any) => unknown]>([
    ['no material', (json) => delete json.verificationMaterial],
    ['no key', (json) => delete json.verificationMaterial.publicKey],
    ['a hint that is no text', (json) => (json.verificationMaterial.publicKey.hint = 1)],
    ['a key of its own', (json) => (json.verificationMaterial.rawKey = key)],
    ['no signature', (json) => delete json.messageSignature],
    ['an empty signature', (json) => (json.messageSignature.signature = '')],
    ['a signature that is no base64', (json) => (json.messageSignature.signature += '*')],
    ['no digest', (json) => delete json.messageSignature.messageDigest],
    ['another digest algorithm', (json) => (json.messageSignature.messageDigest.algorithm = 'SHA2_512')],
    ['a digest that is no base64', (json) => (json.messageSignature.messageDigest.digest = 'a')],
    ['two contents', (json) => (json.somethingElse = {})],
  ])('a bundle with %s', async (_, change) => {
    await refuse('BAD_BUNDLE', changed(change));
  });

  it('a bundle that is cut off, or of megabytes', async () => {
    await refuse('BAD_BUNDLE', signature.bundle.slice(0, -1));
    await refuse('BAD_BUNDLE', `{${' '.repeat(2 ** 21)}`);
  });

  it('an RSA signature that is changed, of another key, or of another length', async () => {
    const make = async () => {
      const pem = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
        type: 'pkcs8',
        format: 'pem',
      });
      const pair = await importPrivateKey(pem.toString(), { password: '' });
      return { pair, signed: await signBlob(await loadPrivateKey(pair.privateKeyPem, ''), BLOB) };
    };
    const [one, two] = [await make(), await make()];
    expect((await verifyBlob(one.pair.publicKeyPem, one.signed.raw, BLOB)).form).toBe('raw');
    const bytes = Buffer.from(one.signed.bytes);
    bytes[100]! ^= 1;
    for (const raw of [bytes.toString('base64'), two.signed.raw, 'AAAA', signature.raw]) {
      await expect(verifyBlob(one.pair.publicKeyPem, raw, BLOB)).rejects.toMatchObject({ code: 'SIGNATURE_MISMATCH' });
    }
  });
});
