import { describe, expect, it } from 'vitest';
import { UserError } from '@boxship/model';
import { layerFiles, planLayer } from './index.ts';
import { publicKeyPem, sampleProduct } from './testing/sample-layer.ts';

const yocto = (rest: string) => ({ yocto: `{ release: scarthgap, maintainer: Jane Doe <jane@acme.example>${rest} }` });

/** Codes and messages of what is wrong with a product, or `undefined` when a layer came out. */
async function faults(changes: Readonly<Record<string, string>>, release?: string): Promise<string | undefined> {
  try {
    const plan = planLayer(sampleProduct(changes), release === undefined ? {} : { release });
    await layerFiles(plan, { key: { publicKeyPem, development: false } });
    return undefined;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    for (const { where, hint } of error.problems) expect([hint, where?.file]).toEqual([expect.any(String), expect.stringMatching(/boxship\.yaml$/)]);
    return error.problems.map(({ code, message, where }) => `${code} ${where?.line ?? 0}: ${message}`).join('\n');
  }
} // prettier-ignore

describe('a product that no layer can be made for', () => {
  it.each([
    ['acme_gateway', 'acme-gateway'], ['acme.gw', 'acme-gw'], ['4acme', 'acme'], ['docker', 'docker-device'], ['x86-64', 'x86-64-device'], ['a--b', 'a-b'],
  ])('because of its name %s: says which name would do', async (product, suggested) => {
    const error = await faults({ product }).catch((thrown: unknown) => thrown);
    expect(error).toMatch(/^BAD_LAYER_NAME 2: "[^"]*" cannot name the layer/);
    expect(() => sampleProduct({ product })).toThrow(`yocto: { name: ${suggested} }`);
    expect(await faults({ product, ...yocto(`, name: ${suggested}`) })).toBeUndefined();
  }); // prettier-ignore

  it.each(['Acme', '"acme gateway"', 'acmé', '"acme\\ngateway"', '"${x}"'])('because of its name %s, which is none of a product at all', async (product) => {
    expect(() => sampleProduct({ product })).toThrowError(expect.objectContaining({ problems: [expect.objectContaining({ code: 'BAD_VALUE', where: expect.objectContaining({ line: 2 }) as unknown })] }) as Error);
  }); // prettier-ignore

  it.each(['1.4.0-rc.1', '2024_05', '1.0+build.7', '1'])('but not because of its version %s: it becomes a PV', async (version) => {
    expect(await faults({ version: `"${version}"` })).toBeUndefined();
    const files = await layerFiles(planLayer(sampleProduct({ version: `"${version}"` })), { key: { publicKeyPem, development: false } });
    const [recipe] = files.filter(({ path }) => path.endsWith('.bb')).map(({ path }) => /socket_(.*)\.bb$/.exec(path)?.[1]).filter(Boolean);
    expect(recipe).toMatch(/^[0-9][0-9A-Za-z.+~]*$/);
  }); // prettier-ignore

  it.each([
    ['no section for Yocto', { yocto: '' }, /^(NO_YOCTO_SECTION|WRONG_TYPE)/],
    ['a release that is none', yocto('').yocto.replace('scarthgap', 'scarthgab'), /^UNKNOWN_RELEASE 9: there is no release "scarthgab"/],
    ['a maintainer without an address', '{ release: scarthgap, maintainer: Jane }', /^BAD_VALUE 9: "yocto\.maintainer"/],
    ['a maintainer that is code', '{ release: scarthgap, maintainer: "${@evil} <a@b.example>" }', /^BAD_BITBAKE_TEXT 9: yocto\.maintainer has "\$\{"/],
    ['a summary of two lines', yocto(', summary: "a\\nb"').yocto, /^BAD_BITBAKE_TEXT 9: .*line break/],
    ['a home page with quotes', yocto(', homepage: "https://a.example/\\""').yocto, /^BAD_VALUE 9/],
    ['two slots without a size', yocto(', ab: true').yocto, /^AB_WITHOUT_SIZE 9/],
    ['two slots where nothing chooses one', yocto(', ab: true, rootSize: 1GiB').yocto, /^NO_AB 4: .*syslinux/],
    ['a size that is none', yocto(', rootSize: big').yocto, /^BAD_SIZE 9/],
    ['a layer that nobody knows', yocto(', layers: { mine: { branch: main } }').yocto, /^LAYER_WITHOUT_REPOSITORY/],
    ['a layer in the place of ours', yocto(', layers: { mine: { repository: "https://a.example/meta-acme-gateway.git" } }').yocto, /^SAME_FOLDER/],
    ['one repository at two branches', yocto(', layers: { meta-python: { branch: other } }').yocto, /^SAME_FOLDER/],
    ['an unknown key', yocto(', relase: x').yocto, /^UNKNOWN_KEY 9/],
    ['a package that is two words', yocto(', packages: ["a b"]').yocto, /^BAD_VALUE 9/],
  ])('because of %s', async (_what, changes, message) => {
    expect(await faults(typeof changes === 'string' ? { yocto: changes } : changes)).toMatch(message);
  }); // prettier-ignore

  it('because its variants would be one bbRecipe', async () => {
    expect(await faults({ variants: '{ a.b: { apps: [web] }, a_b: { apps: [web] } }' })).toMatch(/^SAME_RECIPE 7: the variants "a\.b" and "a_b" would both be the bbRecipe acme-gateway-image-a-b$/);
  }); // prettier-ignore

  it('because its machines are one MACHINE, or none that Yocto knows', async () => {
    expect(await faults({ machines: '{ one: { recipe: qemux86-64 }, two: { recipe: qemux86-64 } }' })).toMatch(/^SAME_MACHINE 4: .*"one" and "two" are both MACHINE qemux86-64/);
    expect(await faults({ machines: '{ mine: { platform: linux/arm64 } }' })).toMatch(/^MACHINE_WITHOUT_YOCTO 4/);
    expect(await faults({ machines: '{ verdin-imx8mp: {} }' }, 'wrynose')).toMatch(/^RELEASE_WITHOUT_MACHINE 4: the layer meta-freescale of machine "verdin-imx8mp" has no branch for wrynose$/);
  }); // prettier-ignore

  it.each([
    ['k3s', 'linux/arm/v5'], ['k3s', 'linux/386'], ['docker', 'linux/loong64'], ['docker', 'linux/riscv32'], ['podman', 'linux/mips64le'],
  ])('because %s cannot be built for %s', async (engine, platform) => {
    expect(await faults({ engine, machines: `{ qemux86-64: { platform: ${platform} } }` })).toMatch(
      new RegExp(`^ENGINE_NOT_ON_PLATFORM 4: ${engine} cannot be built for ${platform}: `),
    );
  }); // prettier-ignore

  it('because a variant has several engines; variants may differ', async () => {
    const machines = '{ qemux86-64: {}, raspberrypi4-64: { engine: podman } }';
    expect(await faults({ machines })).toMatch(/^SEVERAL_ENGINES 7: the variant "basic" has docker on qemux86-64 and podman on raspberrypi4-64; its image is one bbRecipe/);
    const variants = '{ basic: { apps: [web] }, pro: { apps: [web], engine: podman } }';
    expect(planLayer(sampleProduct({ variants })).engines.map(({ name }) => name)).toEqual(['docker', 'podman']);
    expect(planLayer(sampleProduct({ variants: '{ basic: { apps: [web], engine: podman } }' })).engines.map(({ name }) => name)).toEqual(['podman']);
  }); // prettier-ignore

  it('because its variants keep the images of one engine in two ways', async () => {
    const engine = '{ name: docker, imageStore: containerd }';
    expect(await faults({ variants: `{ basic: { apps: [web] }, pro: { apps: [web], engine: ${engine} } }` })).toMatch(/^SEVERAL_ENGINES \d+: .*docker in several ways \(imageStore: auto, containerd\)/); // prettier-ignore
    const files = await layerFiles(planLayer(sampleProduct({ engine })), { key: { publicKeyPem, development: true } });
    const text = files.find(({ path }) => path.endsWith('etc-docker-daemon.json'))!.text;
    expect(JSON.parse(text)).toMatchObject({ 'storage-driver': 'overlayfs', features: { 'containerd-snapshotter': true } }); // prettier-ignore
  });

  it('because its engine is none', async () => {
    expect(await faults({ engine: 'constructor' })).toMatch(/^UNKNOWN_ENGINE/);
  });

  it('because the store that bitbake is to put in was not written', async () => {
    const product = sampleProduct(yocto(', bundle: build'));
    const made = layerFiles(planLayer(product), { key: { publicKeyPem, development: false } });
    await expect(made).rejects.toMatchObject({ code: 'NO_BUNDLE', message: expect.stringMatching(/"basic" of qemux86-64/) });
  }); // prettier-ignore

  it('with every mistake at once', async () => {
    expect(() => sampleProduct({ product: 'Acme' })).toThrow(UserError); // no name of a product at all
    const second = await faults({ product: 'a_b', ...yocto(', rootSize: big, summary: "${x}"') });
    expect(second!.split('\n').map((line) => line.split(' ')[0])).toEqual(['BAD_LAYER_NAME', 'BAD_BITBAKE_TEXT', 'BAD_SIZE']);
  }); // prettier-ignore
});
