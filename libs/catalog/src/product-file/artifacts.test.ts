import { artifactFormats } from '@boxship/formats';
import type { UserError } from '@boxship/model';
import { describe, expect, it } from 'vitest';
import { parseProduct, productSchema } from '../product-file.ts';

const product = (artifacts: string) => `apiVersion: boxship/v1
product: acme
version: "1"
machines: { m: { base: ./vendor.img, platform: linux/arm64 } }
apps: { app: { compose: ./compose.yaml } }
variants: { basic: { apps: [app] } }
artifacts: ${artifacts}
`;
const artifactsOf = (text: string) => parseProduct('boxship.yaml', product(text)).artifacts;
const fault = (text: string): string => {
  try {
    artifactsOf(text);
  } catch (error) {
    return (error as UserError).message;
  }
  return expect.fail('no error');
};

describe('artifacts', () => {
  it('have a key in the schema for each format, and no other', () => {
    const { anyOf } = (productSchema as { properties: { artifacts: { items: { anyOf: { properties?: object }[] } } } })
      .properties.artifacts.items;
    expect(Object.keys(anyOf[1]!.properties!).sort()).toEqual(Object.keys(artifactFormats).sort());
  });

  it('are names, or names with options; defaults are filled in', () => {
    expect(artifactsOf('[raw, raw: { compression: zst, bmap: false }, tezi: { name: Acme, autoinstall: true }, android-sparse: { splitSize: 256MiB }]')).toEqual([
      { format: 'raw', compression: 'none', bmap: true },
      { format: 'raw', compression: 'zst', bmap: false },
      { format: 'tezi', name: 'Acme', autoinstall: true },
      { format: 'android-sparse', splitSize: 268435456 },
    ]);
  });

  it('that are unknown, listed twice or have strange options are refused at their places', () => {
    expect(fault('[tezzi]')).toMatch(/^boxship\.yaml:7:13: there is no artifact format "tezzi"\n {2}hint: Did you mean "tezi"\?/);
    expect(fault('[constructor]')).toMatch(/no artifact format "constructor"/);
    expect(fault('[tezi, tezi: { name: x }]')).toMatch(/:7:19: the artifact tezi is listed twice/);
    expect(fault('[raw: { compression: xz }, raw: { compression: xz, bmap: false }]')).toMatch(/raw with compression xz is listed twice/);
    expect(fault('[raw, android-sparse: { splitSize: 64 MB s }]')).toMatch(/:7:18: "64 MB s" is not a size/);
    expect(fault('[android-sparse, android-sparse: { splitSize: 1GiB }]')).toMatch(/the artifact android-sparse is listed twice/);
    expect(fault('[uuu: { device: sd, bootPartition: true }]')).toMatch(/:7:13: a card has no boot partition/);
    expect(fault('[tezi: { autoinstal: true }]')).toMatch(/autoinstal/);
    expect(fault('[tezi: { autoinstall: 1 }]')).toMatch(/autoinstall/);
  });
}); // prettier-ignore
