import { readFile } from 'node:fs/promises';
import { DEVELOPMENT, generateKeyPair, isDevelopmentKey } from 'cosign-node-binding';
import { describe, expect, it } from 'vitest';
import { exists, fearProduct, PASSWORD, refusal } from './fear-product.ts';

describe('a development key', () => {
  it('whose public half has lost its mark signs nothing', async () => {
    await using product = await fearProduct();
    await product.lock();
    await product.edit('release.pub', (text) => text.replace(/^#.*\n/gm, ''));
    const [plan] = await product.plan();
    expect(plan!.variant.signing.development).toBe(false); // nobody has opened the private key yet
    const error = await refusal(product.compose());
    expect(error.code).toBe('DEVELOPMENT_KEY_MISMATCH');
    expect(error.message).toContain('release.pub');
    expect(await exists(product.out)).toBe(false);
  });

  it('that has lost the mark beside the encrypted private key is still known by the mark inside', async () => {
    await using product = await fearProduct();
    await product.lock();
    await product.edit('release.pub', (text) => text.replace(/^#.*\n/gm, ''));
    await product.edit('release.key', withoutOuterMark);
    expect(isDevelopmentKey(await readFile(product.path('release.key'), 'utf8'))).toBe(false); // what stands outside
    expect((await refusal(product.compose())).code).toBe('DEVELOPMENT_KEY_MISMATCH');
  });

  it('by its public half alone is one: what it signs says so', async () => {
    await using product = await fearProduct();
    const marked = await generateKeyPair({ password: PASSWORD, metadata: DEVELOPMENT });
    const remark = marked.publicKeyPem.split('\n').filter((line) => line.startsWith('#')).join('\n'); // prettier-ignore
    const plain = await generateKeyPair({ password: PASSWORD });
    await product.write('release.key', plain.privateKeyPem);
    await product.write('release.pub', `${remark}\n${plain.publicKeyPem}`);
    expect(isDevelopmentKey(plain.publicKeyPem)).toBe(false);
    await product.lock();
    const [composed] = await product.compose();
    expect(composed!.release.development).toBe(true);
  });
});

/** The key file without what it says beside the encrypted key: Base64 of JSON with the member `metadata`. */
function withoutOuterMark(pem: string): string {
  const [head, ...lines] = pem.trim().split('\n');
  const tail = lines.pop();
  const { metadata, ...rest } = JSON.parse(Buffer.from(lines.join(''), 'base64').toString()) as Record<string, unknown>;
  expect(metadata).toEqual(DEVELOPMENT);
  return `${head}\n${Buffer.from(JSON.stringify(rest)).toString('base64')}\n${tail}\n`;
}

it('the private half of another pair signs nothing', async () => {
  await using product = await fearProduct();
  await product.lock();
  const other = await generateKeyPair({ password: PASSWORD });
  await product.write('release.key', other.privateKeyPem);
  expect((await refusal(product.compose())).code).toBe('KEY_MISMATCH');
  expect(await exists(product.out)).toBe(false);
});
