/* eslint-disable @typescript-eslint/no-explicit-any -- JSON that is damaged at will */
import { createPrivateKey, generateKeyPairSync, randomBytes, scryptSync, type KeyObject } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  DEVELOPMENT, generateKeyPair, importPrivateKey, isDevelopmentKey, loadPrivateKey, parsePublicKey, publicKeyOf, signBlob, signDigest,
  type KeyPair,
} from './index.ts'; // prettier-ignore
import { formatPem, parsePem } from './pem.ts';

const PASSWORD = 'pass word ü';

/** The key of RFC 6979 appendix A.2.5. */
const rfc6979 = createPrivateKey({
  format: 'jwk',
  key: {
    kty: 'EC',
    crv: 'P-256',
    d: base64url('C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721'),
    x: base64url('60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6'),
    y: base64url('7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299'),
  },
});

function base64url(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64url');
}

function pkcs8(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** A key file as cosign has it, with whatever is wrong in it. */
function keyFile(
  change: (json: Record<string, unknown>) => unknown,
  N = 32768,
  label = 'ENCRYPTED SIGSTORE PRIVATE KEY',
): string {
  const [salt, nonce] = [randomBytes(32), randomBytes(24)];
  const key = scryptSync(PASSWORD, salt, 32, { N: Math.min(N, 131072), r: 8, p: 1, maxmem: 2 ** 28 });
  const ciphertext = xsalsa20poly1305(key, nonce).encrypt(rfc6979.export({ type: 'pkcs8', format: 'der' }));
  const json = {
    kdf: { name: 'scrypt', params: { N, r: 8, p: 1 }, salt: salt.toString('base64') },
    cipher: { name: 'nacl/secretbox', nonce: nonce.toString('base64') },
    ciphertext: Buffer.from(ciphertext).toString('base64'),
  };
  const changed = change(json);
  return formatPem(label, Buffer.from(JSON.stringify(changed === undefined ? json : changed)));
}

describe('key files of cosign', () => {
  it.each([32768, 65536, 131072])('opens scrypt cost %d', async (cost) => {
    const signer = await loadPrivateKey(
      keyFile(() => undefined, cost),
      PASSWORD,
    );
    expect(signer.algorithm).toBe('ecdsa-p256-sha256');
  });

  it('opens the older label', async () => {
    const old = keyFile(() => undefined, 32768, 'ENCRYPTED COSIGN PRIVATE KEY');
    expect((await loadPrivateKey(old, PASSWORD)).keyId).toMatch(/^[A-Za-z0-9+/]{43}=$/);
  });

  it.each<[string, RegExp, (json: any) => unknown]>([
    ['scrypt cost below what cosign takes', /"N":16384/, (json) => void (json.kdf.params.N = 16384)],
    ['scrypt cost of terabytes', /"N":1099511627776/, (json) => void (json.kdf.params.N = 2 ** 40)],
    ['scrypt cost as text', /"N":"65536"/, (json) => void (json.kdf.params.N = '65536')],
    ['block size of gigabytes', /"r":1073741824/, (json) => void (json.kdf.params.r = 2 ** 30)],
    ['parallelism without end', /"p":1048576/, (json) => void (json.kdf.params.p = 2 ** 20)],
    ['salt of kilobytes', /salt/, (json) => void (json.kdf.salt = 'A'.repeat(20_000))],
    ['salt that is not base64', /salt/, (json) => void (json.kdf.salt = '***')],
    ['short nonce', /nonce/, (json) => void (json.cipher.nonce = 'AAAA')],
    ['no ciphertext', /ciphertext/, (json) => void delete json.ciphertext],
    ['ciphertext shorter than its tag', /ciphertext/, (json) => void (json.ciphertext = 'AAAA')],
    ['another cipher', /not encrypted with/, (json) => void (json.cipher.name = 'none')],
    ['another key derivation', /not encrypted with/, (json) => void (json.kdf.name = 'pbkdf2')],
    ['null', /not encrypted with/, () => null],
    ['a list', /not encrypted with/, () => []],
    ['names of Object.prototype', /not encrypted with/, () => ({ constructor: {}, toString: 1 })],
  ])('refuses %s', async (_, message, change) => {
    const refused = loadPrivateKey(keyFile(change), PASSWORD);
    await expect(refused).rejects.toMatchObject({ code: 'BAD_KEY', message: expect.stringMatching(message) });
  });

  it.each([
    ['empty file', ''],
    ['text', 'not a key'],
    ['no end', '-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n'],
    ['labels that differ', '-----BEGIN A-----\nAAAA\n-----END B-----\n'],
    [
      'content that is not base64',
      '-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n****\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n',
    ],
    ['content that is not JSON', formatPem('ENCRYPTED SIGSTORE PRIVATE KEY', Buffer.from('{'))],
    ['plain private key', pkcs8(rfc6979)],
    ['megabytes', 'x'.repeat(2 ** 21)],
  ])('refuses %s', async (_, pem) => {
    await expect(loadPrivateKey(pem, PASSWORD)).rejects.toMatchObject({ code: 'BAD_KEY' });
  });

  it('refuses two keys in one file', async () => {
    const file = keyFile(() => undefined);
    await expect(loadPrivateKey(file + file, PASSWORD)).rejects.toMatchObject({ code: 'BAD_KEY' });
  });

  it('tells a wrong password and a flipped bit from a file that is no key', async () => {
    const file = keyFile(() => undefined);
    await expect(loadPrivateKey(file, 'pass word u')).rejects.toMatchObject({ code: 'WRONG_PASSWORD' });
    const flipped = keyFile((json) => {
      const bytes = Buffer.from(json['ciphertext'] as string, 'base64');
      bytes[40]! ^= 1;
      return { ...json, ciphertext: bytes.toString('base64') };
    });
    await expect(loadPrivateKey(flipped, PASSWORD)).rejects.toMatchObject({ code: 'WRONG_PASSWORD' });
  });
});

describe('imported keys', () => {
  it.each([
    ['P-384', () => pkcs8(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey)],
    ['secp256k1', () => pkcs8(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey)],
    ['Ed25519', () => pkcs8(generateKeyPairSync('ed25519').privateKey)],
    ['RSA 1024', () => pkcs8(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey)],
    [
      'RSA with exponent 3',
      () => pkcs8(generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }).privateKey),
    ],
  ])('are refused with what would work: %s', async (_, make) => {
    const refused = importPrivateKey(make(), { password: PASSWORD });
    await expect(refused).rejects.toMatchObject({ code: 'UNSUPPORTED_KEY', hint: expect.stringContaining('P-256') });
  });

  it('are refused while encrypted, in the new and in the old form of OpenSSL', async () => {
    const cipher = { cipher: 'aes-256-cbc', passphrase: 'x' };
    const forms = [
      rfc6979.export({ type: 'pkcs8', format: 'pem', ...cipher }),
      rfc6979.export({ type: 'sec1', format: 'pem', ...cipher }),
    ];
    for (const form of forms) {
      const refused = importPrivateKey(form.toString(), { password: PASSWORD });
      await expect(refused).rejects.toMatchObject({ code: 'BAD_KEY', hint: expect.stringContaining('openssl pkey') });
    }
  });

  it('are refused when they are public', async () => {
    const { publicKeyPem } = await generateKeyPair({ password: '' });
    await expect(importPrivateKey(publicKeyPem, { password: '' })).rejects.toMatchObject({ code: 'BAD_KEY' });
  });
});

describe('signatures of a key file', () => {
  it('are those of RFC 6979, appendix A.2.5', async () => {
    const { privateKeyPem } = await importPrivateKey(pkcs8(rfc6979), { password: PASSWORD });
    const { bytes, digest } = await signBlob(await loadPrivateKey(privateKeyPem, PASSWORD), Buffer.from('sample'));
    expect(Buffer.from(digest).toString('hex')).toBe(
      'af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf',
    );
    const r = 'efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716';
    const s = 'f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8';
    expect(Buffer.from(bytes).toString('hex')).toBe(`3046022100${r}022100${s}`); // both have the top bit set
  });

  it('are equal for equal bytes, as a whole, as a stream and as a digest', async () => {
    const signer = await loadPrivateKey((await generateKeyPair({ password: PASSWORD })).privateKeyPem, PASSWORD);
    const blob = randomBytes(100_000);
    async function* stream() {
      for (let at = 0; at < blob.length; at += 7777) yield blob.subarray(at, at + 7777);
    }
    const whole = await signBlob(signer, blob);
    expect(await signBlob(signer, stream())).toEqual(whole);
    expect(await signDigest(signer, whole.digest)).toEqual(whole);
  });

  it('are not made over something that is no SHA-256 digest', async () => {
    const signer = await loadPrivateKey(
      keyFile(() => undefined),
      PASSWORD,
    );
    await expect(signDigest(signer, randomBytes(20))).rejects.toMatchObject({ code: 'BAD_DIGEST' });
  });
});

describe('the mark of a development key', () => {
  let pair: KeyPair;
  beforeAll(async () => {
    pair = await generateKeyPair({ password: PASSWORD, metadata: { ...DEVELOPMENT, 'made-by': 'a demo' } });
  });

  it('is seen without the password, in both files', async () => {
    expect(isDevelopmentKey(pair.privateKeyPem)).toBe(true);
    expect(isDevelopmentKey(pair.publicKeyPem)).toBe(true);
    expect(parsePublicKey(pair.publicKeyPem).metadata).toEqual({ purpose: 'development', 'made-by': 'a demo' });
    const signer = await loadPrivateKey(pair.privateKeyPem, PASSWORD);
    expect(publicKeyOf(signer)).toEqual(parsePublicKey(pair.publicKeyPem));
  });

  it('cannot be taken off the private key without the password', async () => {
    const { label, bytes } = parsePem(pair.privateKeyPem)![0]!;
    const { metadata, ...rest } = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;
    expect(metadata).toBeDefined();
    for (const outer of [{}, { metadata: { purpose: 'release' } }, { metadata: ['x'] }]) {
      const stripped = formatPem(label, Buffer.from(JSON.stringify({ ...rest, ...outer })));
      expect(isDevelopmentKey(stripped)).toBe(false);
      expect(isDevelopmentKey(await loadPrivateKey(stripped, PASSWORD))).toBe(true);
    }
  });

  it('does not keep openssl from reading the public key', () => {
    const shown = execFileSync('openssl', ['pkey', '-pubin', '-noout', '-text'], {
      input: pair.publicKeyPem,
    }).toString();
    expect(shown).toContain('prime256v1');
  });

  it('is not on other keys', async () => {
    const other = await generateKeyPair({ password: PASSWORD });
    expect([isDevelopmentKey(other.privateKeyPem), isDevelopmentKey(other.publicKeyPem)]).toEqual([false, false]);
    expect(isDevelopmentKey(await loadPrivateKey(other.privateKeyPem, PASSWORD))).toBe(false);
  });

  it.each<[string, Record<string, string>]>([
    ['a second line', { note: 'a\n-----BEGIN PUBLIC KEY-----' }],
    ['an upper-case name', { Purpose: 'x' }],
    ['an empty value', { purpose: '' }],
    ['letters beyond ASCII', { purpose: 'entwicklungsschlüssel' }],
  ])('cannot smuggle %s into a file', async (_, metadata) => {
    await expect(generateKeyPair({ password: '', metadata })).rejects.toMatchObject({ code: 'BAD_METADATA' });
  });
});

describe('public keys', () => {
  it.each([
    ['nothing', ''],
    ['a certificate', formatPem('CERTIFICATE', randomBytes(64))],
    ['noise', formatPem('PUBLIC KEY', randomBytes(91))],
  ])('are not %s', (_, pem) => {
    expect(() => parsePublicKey(pem)).toThrow(expect.objectContaining({ code: 'BAD_KEY' }));
  });

  it('come alone: a second block could be the one that somebody else reads', async () => {
    const one = await generateKeyPair({ password: '' });
    expect(() => parsePublicKey(one.publicKeyPem + one.publicKeyPem)).toThrow(
      expect.objectContaining({ code: 'BAD_KEY' }),
    );
  });

  it('are refused on another curve', () => {
    const pem = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ type: 'spki', format: 'pem' });
    expect(() => parsePublicKey(pem.toString())).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_KEY' }));
  });
});
