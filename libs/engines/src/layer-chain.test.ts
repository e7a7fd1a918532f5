import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';
import { chainLayers, linkName, uniqueLayers } from './layer-chain.ts';
import { image, layer } from './test-images.ts';

const LIMIT = { engine: "docker's overlay2", layers: 125 };

describe('chainLayers', () => {
  it('makes chain ids as the OCI specification says (sha256sum)', async () => {
    const [a, b, c] = chainLayers(image('x:1', [layer('a'), layer('b'), layer('c')]), LIMIT);
    const sum = async (text: string) => (await runProgram('sha256sum', [], { input: text })).stdout.toString().slice(0, 64);
    expect(a!.chainId).toBe(a!.layer.diffId);
    expect(b!.chainId).toBe(`sha256:${await sum(`${a!.chainId} ${b!.layer.diffId}`)}`);
    expect(c!.chainId).toBe(`sha256:${await sum(`${b!.chainId} ${c!.layer.diffId}`)}`);
    expect([a!.parent, c!.parent]).toEqual([undefined, b]);
  }); // prettier-ignore

  it('makes link names as base32 of coreutils', async () => {
    const input = createHash('sha256').update('a seed').digest();
    expect((await runProgram('base32', [], { input })).stdout.toString().slice(0, 26)).toBe(linkName('a seed'));
  });

  it('holds a layer that several images share once, parents first', () => {
    const [base, a, b] = [layer('base'), layer('a'), layer('b')];
    const chains = [
      [base, a],
      [base, a, b],
      [base, b],
    ].map((layers) => chainLayers(image('x:1', layers), LIMIT));
    const unique = uniqueLayers(chains);
    expect(unique.map(({ layer: one }) => one)).toEqual([base, a, b, b]);
    unique.forEach(({ parent }, at) =>
      expect(unique.findIndex((one) => one.chainId === parent?.chainId)).toBeLessThan(at),
    );
  });

  it('refuses more layers than the engine mounts', () => {
    const many = (count: number) => Array.from({ length: count }, (_, i) => layer(String(i)));
    expect(chainLayers(image('x:1', many(125)), LIMIT)).toHaveLength(125);
    expect(() => chainLayers(image('x:1', many(126)), LIMIT)).toThrow(/126 layers; docker's overlay2 takes 125/);
  });
});
