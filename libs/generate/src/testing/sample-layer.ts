import { parseProduct, type Product } from '@boxship/catalog';

/** A release key of nobody: its private half was thrown away. */
export const publicKeyPem = [
  '-----BEGIN PUBLIC KEY-----',
  'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEIN2XXOtvX34Pb+d9KxZjA2wmfR82',
  'lUr+1GCQjFecvkQwrJ+CNLtVHpg6gBB5sgICXr9gSo+G8JyhowKEI0uV0g==',
  '-----END PUBLIC KEY-----',
  '',
].join('\n');

/** A product that is generated for in tests: `changes` are lines of the product file, by key. */
export function sampleProduct(changes: Readonly<Record<string, string>> = {}): Product {
  const lines: Readonly<Record<string, string>> = {
    product: 'acme-gateway',
    version: '1.4.0-rc.1',
    machines: '{ qemux86-64: { base: ./vendor.wic } }',
    engine: 'docker',
    apps: '{ web: { compose: ./compose.yaml }, hmi: { compose: ./hmi.yaml } }',
    variants: '{ basic: { apps: [web] }, pro: { extends: basic, apps: [hmi] } }',
    signing: '{ key: ./release.key }',
    yocto: '{ release: scarthgap, maintainer: Jane Doe <jane@acme.example> }',
    ...changes,
  };
  const text = Object.entries(lines).map(([key, value]) => `${key}: ${value}\n`).join('');
  return parseProduct('boxship.yaml', `apiVersion: boxship/v1\n${text}`);
} // prettier-ignore
