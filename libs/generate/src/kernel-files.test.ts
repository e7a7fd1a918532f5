import { describe, expect, it } from 'vitest';
import { layerFiles, planLayer, type LayerPlan } from './index.ts';
import { publicKeyPem, sampleProduct } from './testing/sample-layer.ts';

/** The append to the kernel of a machine. */
async function appendOf(plan: LayerPlan): Promise<string> {
  const files = await layerFiles(plan, { key: { publicKeyPem, development: false } });
  const appends = files.filter(({ path }) => path.endsWith('.bbappend'));
  expect(appends).toHaveLength(1);
  const fragment = files.find(({ path }) => path.endsWith('/acme-gateway-docker.cfg'));
  expect(fragment!.text).toMatch(/^CONFIG_OVERLAY_FS=y$/m);
  return appends[0]!.text;
}

describe('the append to a kernel that looks for no .cfg in SRC_URI by itself', () => {
  it.each([
    ['scarthgap', 'WORKDIR'],
    ['wrynose', 'UNPACKDIR'],
  ])('names the fragment where meta-ti reads such names, on %s', async (release, folder) => {
    const plan = planLayer(sampleProduct({ machines: '{ am62xx-evm: {} }' }), { release });
    expect(await appendOf(plan)).toBe(
      [
        'FILESEXTRAPATHS:prepend:acme-gateway := "${THISDIR}/files:"',
        '',
        'SRC_URI:append:acme-gateway = " file://acme-gateway-docker.cfg"',
        '# nooelint: oelint.vars.mispell.unknown',
        `KERNEL_CONFIG_FRAGMENTS:append:acme-gateway = " \${${folder}}/acme-gateway-docker.cfg"`,
        '',
      ].join('\n'),
    );
  });

  it('names it in DELTA_KERNEL_DEFCONFIG for a kernel that reads that', async () => {
    const plan = planLayer(sampleProduct({ machines: '{ imx8mp-lpddr4-evk: {} }' }));
    const [machine] = plan.machines;
    const kernel = { ...machine!.kernel, recipe: 'linux-qoriq', fragments: 'delta-defconfig' } as const;
    expect(await appendOf({ ...plan, machines: [{ ...machine!, kernel }] })).toContain(
      'DELTA_KERNEL_DEFCONFIG:append:acme-gateway = " ${WORKDIR}/acme-gateway-docker.cfg"\n',
    );
  });
});
