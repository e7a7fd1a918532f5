import { describe, expect, it } from 'vitest';
import { parsePlatform } from '@boxship/oci';
import { parseProduct } from './product-file.ts';
import { findRecipe, recipeNames } from './recipe.ts';

const product = (machine: string) => `
apiVersion: boxship/v1
product: acme
version: "1"
machines: { ${machine} }
apps: { web: { compose: c.yaml } }
variants: { basic: { apps: [web] } }
`;

describe('the catalogue of machines', () => {
  it('has names of its own, and each a sound platform', () => {
    const names = recipeNames();
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain('qemux86-64');
    for (const name of names) {
      const recipe = findRecipe(name)!;
      expect(recipe.description).toMatch(/\w/);
      if (recipe.platform !== undefined) expect(parsePlatform(recipe.platform).os).toBe('linux');
    }
  });

  it('gives what the product file leaves out, under its own name or another', () => {
    const machines = (text: string) => parseProduct('boxship.yaml', product(text)).machines;
    expect(machines('qemuarm64: { base: a.img }')[0]).toMatchObject({ platform: 'linux/arm64' });
    expect(machines('mine: { recipe: qemuarm64, base: a.img }')[0]).toMatchObject({ platform: 'linux/arm64' });
    expect(machines('qemuarm64: { base: a.img, platform: linux/arm/v7 }')[0]).toMatchObject({
      platform: 'linux/arm/v7',
    });
  });

  it('says which recipes there are, and what a recipe cannot give', () => {
    expect(() => parseProduct('boxship.yaml', product('mine: { recipe: qemux86-46, base: a.img }'))).toThrow(
      /there is no recipe "qemux86-46"[^]*Did you mean "qemux86-64"\?/,
    );
    expect(() => parseProduct('boxship.yaml', product('mine: qemux86-64'))).toThrow(/machine "mine" lacks "base"/);
  });
});
