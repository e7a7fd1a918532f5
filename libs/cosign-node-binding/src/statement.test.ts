import { beforeAll, describe, expect, it } from 'vitest';
import { generateKeyPair, loadPrivateKey, signBlob, signStatement, verifyStatement, type Signer } from './index.ts';

const STATEMENT = '{"_type":"https://in-toto.io/Statement/v1","subject":[]}';

let signer: Signer;
let bundle = '';
beforeAll(async () => {
  const { privateKeyPem } = await generateKeyPair({ password: '' });
  signer = await loadPrivateKey(privateKeyPem, '');
  bundle = await signStatement(signer, STATEMENT);
});

const changed = (change: (bundle: { dsseEnvelope: { payload: string; payloadType: string; signatures: object[] } }) => void) => {
  const copy = JSON.parse(bundle) as Parameters<typeof change>[0];
  change(copy);
  return JSON.stringify(copy);
}; // prettier-ignore
const codeOf = (text: string) => {
  try {
    verifyStatement(signer, text);
    return 'taken';
  } catch (error) {
    return (error as { code: string }).code;
  }
};

describe('a signed statement', () => {
  it('is the same each time, and verifies', async () => {
    expect(await signStatement(signer, STATEMENT)).toBe(bundle);
    expect(verifyStatement(signer, bundle).statement).toBe(STATEMENT);
  });

  it('is refused when anything of it was changed', async () => {
    const other = Buffer.from('{"subject":[{}]}').toString('base64');
    const { keyId: _, ...withoutMaterial } = { keyId: 0, ...(JSON.parse(bundle) as object), verificationMaterial: {} };
    expect(codeOf(changed((one) => (one.dsseEnvelope.payload = other)))).toBe('SIGNATURE_MISMATCH');
    expect(codeOf(changed((one) => (one.dsseEnvelope.payloadType = 'text/plain')))).toBe('NOT_A_STATEMENT');
    expect(codeOf(changed((one) => one.dsseEnvelope.signatures.push({})))).toBe('BAD_BUNDLE');
    expect(codeOf(changed((one) => (one.dsseEnvelope.payload = '%')))).toBe('BAD_BUNDLE');
    expect(codeOf(JSON.stringify(withoutMaterial))).toBe('BAD_BUNDLE');
    expect(codeOf('{')).toBe('BAD_BUNDLE');
    expect(codeOf('{}')).toBe('BUNDLE_VERSION');
    expect(codeOf((await signBlob(signer, Buffer.from('x'))).bundle)).toBe('NOT_A_STATEMENT');
    const second = await loadPrivateKey((await generateKeyPair({ password: '' })).privateKeyPem, '');
    expect(codeOf(await signStatement(second, STATEMENT))).toBe('KEY_MISMATCH');
  });
});
