import { describe, expect, it } from 'vitest';
import { parsePlatform } from '@boxship/oci';
import { parseProduct } from './product-file.ts';
import { listAssetFiles, readAssetFile } from '@boxship/host';
import { parseByteSize } from '@boxship/model';
import { findRecipe, parseRecipe, recipeNames, recipeReleases, supportedReleases } from './recipe.ts';

const product = (machine: string) => `
apiVersion: boxship/v1
product: acme
version: "1"
machines: { ${machine} }
apps: { web: { compose: c.yaml } }
variants: { basic: { apps: [web] } }
`;

const files = listAssetFiles('recipes').filter((path) => path.endsWith('.yaml'));

describe.each(files)('%s', (path) => {
  const recipe = parseRecipe(path, readAssetFile(path));
  const yocto = recipe.yocto;

  it('begins with the schema that editors complete it from', () => {
    expect(readAssetFile(path).split('\n', 1)).toEqual([
      '# yaml-language-server: $schema=../../libs/catalog/src/recipe-schema.json',
    ]);
  });

  it('has sizes that can be read, RAM ascending', () => {
    const ram = (recipe.hardware?.ram ?? []).map(parseByteSize);
    expect(ram).toEqual([...ram].sort((a, b) => a - b));
    expect(ram.length).toBeGreaterThan(0);
  });

  it('says which formats of artifacts it takes, each once, and why; those that need a disk where one is described', () => {
    const taken = (recipe.artifacts ?? []).flatMap(({ formats }) => formats);
    expect(taken.length).toBeGreaterThan(0);
    expect(new Set(taken).size).toBe(taken.length);
    const ofDisk = taken.filter((one) => one !== 'tezi' && one !== 'rootfs-tar');
    expect(ofDisk.length > 0).toBe(recipe.disk !== undefined);
    expect(taken.includes('tezi')).toBe(recipe.tezi !== undefined && recipe.tezi.device !== 'ubi');
    expect(taken.includes('uuu')).toBe(recipe.flash?.includes('uuu') === true);
  });

  it('has one rootfs, and no two partitions of one name', () => {
    const partitions = recipe.disk?.partitions ?? [];
    if (!recipe.disk) return;
    expect(partitions.filter(({ mount }) => mount === '/').map(({ source }) => source)).toEqual(['rootfs']);
    const ofRootfs = partitions.filter(({ source, mount }) => source === 'rootfs' && mount !== '/');
    expect(ofRootfs.filter(({ folder }) => folder === undefined)).toEqual([]);
    expect(new Set(partitions.map(({ name }) => name)).size).toBe(partitions.length);
  });

  it('takes each kernel from a layer that has a branch for that release', () => {
    if (!yocto) return;
    for (const release of recipeReleases) {
      const kernel = yocto.kernel[release];
      if (!kernel) continue;
      const layer = yocto.layers.find(({ collection }) => collection === kernel.collection);
      if (kernel.collection === 'core') expect(kernel.fragments).toBe('kernel-yocto');
      else expect(layer?.branches[release], `${release}: ${kernel.collection}`).toBeDefined();
    }
    expect(supportedReleases(recipe)).toEqual(recipeReleases.filter((release) => yocto.kernel[release] !== undefined));
    expect(yocto.overrides).toContain(yocto.machine);
  });
});

describe('a recipe that is wrong', () => {
  it('is told with every mistake at its place', () => {
    const text = `description: x
platform: arm64
hardware: { wordSize: 48, mmu: true, pageSizes: [4KiB], ram: [1000], storage: [{ kind: floppy }] }
devices: { gpio: [{ nodes: [gpiochip0] }] }
source: []
`;
    expect(() => parseRecipe('recipes/x/y.yaml', text)).toThrowErrorMatchingInlineSnapshot(`
      [UserError: recipes/x/y.yaml:1:1: the file lacks "sources"
        hint: What is known of one machine. Data only; every fact has a source.
      recipes/x/y.yaml:5:1: unknown key "source" in the file
        hint: Did you mean "sources"?
      recipes/x/y.yaml:2:11: "platform" must match pattern "^linux/[a-z0-9_]+(/[a-z0-9]+)?$"
        hint: Platform of the images that it runs: os/architecture[/variant], as OCI writes it.
      recipes/x/y.yaml:3:23: "hardware.wordSize" must be one of 32, 64
        hint: Bits of a pointer of the kernel that the recipe is about.
      recipes/x/y.yaml:3:63: "hardware.ram.0" must be a string
        hint: A size with its unit, as 512MiB.
      recipes/x/y.yaml:3:88: "hardware.storage.0.kind" must be one of emmc, sd, nand, nor, nvme, sata, usb, ufs, virtual
        hint: What it is, the one that the product boots from first.
      recipes/x/y.yaml:4:1: "devices" lacks "i2c"
        hint: Device nodes by class, for rules that give an app only what it asks for. An empty list: it has none.
      recipes/x/y.yaml:4:1: "devices" lacks "spi"
        hint: Device nodes by class, for rules that give an app only what it asks for. An empty list: it has none.
      recipes/x/y.yaml:4:1: "devices" lacks "can"
        hint: Device nodes by class, for rules that give an app only what it asks for. An empty list: it has none.
      recipes/x/y.yaml:4:1: "devices" lacks "serial"
        hint: Device nodes by class, for rules that give an app only what it asks for. An empty list: it has none.
      recipes/x/y.yaml:4:1: "devices" lacks "video"
        hint: Device nodes by class, for rules that give an app only what it asks for. An empty list: it has none.
      recipes/x/y.yaml:4:1: "devices" lacks "drm"
        hint: Device nodes by class, for rules that give an app only what it asks for. An empty list: it has none.
      recipes/x/y.yaml:4:1: "devices" lacks "gpu"
        hint: Device nodes by class, for rules that give an app only what it asks for. An empty list: it has none.
      recipes/x/y.yaml:4:1: "devices" lacks "input"
        hint: Device nodes by class, for rules that give an app only what it asks for. An empty list: it has none.
      recipes/x/y.yaml:4:1: "devices" lacks "usb"
        hint: Device nodes by class, for rules that give an app only what it asks for. An empty list: it has none.
      recipes/x/y.yaml:4:19: "devices.gpio.0" lacks "major"
        hint: Add it: major: …
      recipes/x/y.yaml:4:19: "devices.gpio.0" lacks "interfaces"
        hint: Add it: interfaces: …
      recipes/x/y.yaml:4:19: "devices.gpio.0" must match exactly one schema in oneOf
      recipes/x/y.yaml:4:29: "devices.gpio.0.nodes.0" must match pattern "^/dev/"]
    `);
  });
});

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
  });

  it('takes a machine whose base image is not built yet', () => {
    const [machine] = parseProduct('boxship.yaml', product('mine: qemux86-64')).machines;
    expect(machine).toMatchObject({ name: 'mine', platform: 'linux/amd64' });
    expect(machine).not.toHaveProperty('base');
  });
});
