import { artifactFormats } from '@boxship/formats';
import type { UserError } from '@boxship/model';
import { describe, expect, it } from 'vitest';
import { parseProduct, productSchema } from '../product-file.ts';
import { recipeSchema } from '../recipe.ts';

const MACHINE = '{ m: { base: ./vendor.img, platform: linux/arm64 } }';
const product = (artifacts: string, machines: string) => `apiVersion: boxship/v1
product: acme
version: "1"
machines: ${machines}
apps: { app: { compose: ./compose.yaml } }
variants: { basic: { apps: [app] } }
${artifacts === '' ? '' : `artifacts: ${artifacts}`}
`;
const artifactsOf = (text: string, machines = MACHINE) =>
  parseProduct('boxship.yaml', product(text, machines)).machines[0]!.artifacts.map(({ options }) => options);
const fault = (text: string, machines = MACHINE): string => {
  try {
    artifactsOf(text, machines);
  } catch (error) {
    return (error as UserError).message;
  }
  return expect.fail('no error');
};

describe('artifacts', () => {
  it('have a key in the schema for each format, and no other', () => {
    const { artifacts } = (productSchema as { definitions: { artifacts: { items: { anyOf: { properties?: object }[] } } } }).definitions;
    expect(Object.keys(artifacts.items.anyOf[1]!.properties!).sort()).toEqual(Object.keys(artifactFormats).sort());
    const ofRecipe = (recipeSchema as { properties: { artifacts: { items: { properties: { formats: { items: { enum: string[] } } } } } } }).properties.artifacts;
    expect(ofRecipe.items.properties.formats.items.enum.sort()).toEqual(Object.keys(artifactFormats).sort());
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

  it('are those that the recipe of the machine names; a machine may have a list of its own', () => {
    const am62 = 'verdin-am62: { base: ./vendor.tar }';
    const takes = "What its recipe names:\n    tezi: Toradex Easy Installer writes the eMMC\n    rootfs-tar: for those who make";
    expect(fault('[tezi, uuu]', `{ ${am62} }`)).toContain('boxship.yaml:7:19: "verdin-am62" does not take the artifact uuu');
    expect(fault('[tezi, uuu]', `{ ${am62} }`)).toContain(`machines.verdin-am62.artifacts. ${takes}`);
    expect(fault('', '{ mine: { recipe: verdin-am62, artifacts: [rauc: {}] } }')).toContain(':4:54: "mine" does not take the artifact rauc');
    // each machine is asked by itself, and one that has its own list is not asked for the product's
    expect(fault('[tezi]', `{ ${am62}, raspberrypi5: {} }`)).toMatch(/^boxship\.yaml:7:13: "raspberrypi5" does not take the artifact tezi\n.*\n {4}raw: the card/);
    expect(artifactsOf('[raw]', '{ verdin-am62: { artifacts: [tezi] } }')).toEqual([{ format: 'tezi' }]);
    expect(artifactsOf('', '{ verdin-am62: {} }')).toEqual([{ format: 'tezi' }]); // the first that it takes, where raw is none
    expect(artifactsOf('', '{ verdin-imx8mp: {} }')).toEqual([{ format: 'raw', compression: 'none', bmap: true }]);
    expect(fault('', '{ m: { platform: linux/arm64, artifacts: [raw, raw] } }')).toMatch(/:4:58: the artifact raw with/);
  });
}); // prettier-ignore
