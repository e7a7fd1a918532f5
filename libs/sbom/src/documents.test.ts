import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Spec, Validation } from '@cyclonedx/cyclonedx-library';
import { runProgram, withScratch } from '@boxship/host';
import type { Digest } from '@boxship/model';
import { describe, expect, it } from 'vitest';
import { cyclonedxDocument } from './cyclonedx.ts';
import type { Inventory } from './inventory.ts';
import { imageUrl } from './package-url.ts';
import { spdxDocument } from './spdx.ts';
import { buildSpdxValidator, whyNoSpdx } from './testing/spdx-validator.ts';

const digest = (digit: string): Digest => `sha256:${digit.repeat(64)}`;
const GATEWAY = 'registry.example.com:5000/acme/Gateway:1.4';
const inventory: Inventory = {
  name: 'acme-gateway-1.4.0-qemux86-64-pro',
  version: '1.4.0',
  tool: '0.1.0',
  epoch: 1_700_000_000,
  files: [{ name: 'acme "gateway".img', digest: digest('a') }],
  parts: [
    { kind: 'base', name: 'vendor.img', digest: digest('b'), software: { packages: [{ manager: 'opkg', name: 'busybox', version: '1.36-r0', license: 'GPL-2.0-only & bzip2-1.0.4' }], unread: [] } },
    {
      kind: 'container',
      name: GATEWAY,
      version: '1.4',
      digest: digest('c'),
      purl: imageUrl(GATEWAY, digest('c'), 'amd64'),
      software: {
        os: { id: 'debian', versionId: '12' },
        packages: [
          { manager: 'dpkg', name: 'libstdc++6', version: '1:12.2.0-14+deb12u1', architecture: 'amd64', source: 'gcc-12' },
          { manager: 'dpkg', name: 'zlib1g', version: '1:1.2', architecture: 'amd64' },
        ],
        unread: ['var/lib/rpm/rpmdb.sqlite'],
      },
    },
    { kind: 'container', name: 'registry.example.com/acme/other@sha256:1', digest: digest('d') },
  ],
}; // prettier-ignore

const URL_OF_LIBSTDCXX = 'pkg:deb/debian/libstdc%2B%2B6@1:12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12';
const URL_OF_GATEWAY = `pkg:oci/gateway@sha256:${'c'.repeat(64)}?arch=amd64&repository_url=registry.example.com:5000%2Facme%2FGateway&tag=1.4`;

describe('CycloneDX', () => {
  it('passes the strict validator', async () => {
    const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);
    expect(await validator.validate(cyclonedxDocument(inventory))).toBeNull();
    expect(await validator.validate(cyclonedxDocument({ ...inventory, parts: [], files: [] }))).toBeNull();
    // it can say no
    expect(await validator.validate(cyclonedxDocument(inventory).replace('"firmware"', '"firm"'))).not.toBeNull();
  });

  it('has every package under its image, with a package URL where one can be known', () => {
    const { components } = JSON.parse(cyclonedxDocument(inventory)) as { components: { components: { name: string; purl?: string }[]; properties: object[] }[] }; // prettier-ignore
    expect(components.map((part) => part.components.map(({ name, purl }) => [name, purl]))).toEqual([
      [['busybox', undefined]],
      [['libstdc++6', URL_OF_LIBSTDCXX], ['zlib1g', 'pkg:deb/debian/zlib1g@1:1.2?arch=amd64&distro=debian-12']],
      [],
    ]); // prettier-ignore
    expect(components[1]).toMatchObject({ type: 'container', purl: URL_OF_GATEWAY });
    expect(components[2]!.properties).toEqual([{ name: 'boxship:packages', value: 'not looked at' }]);
  });

  it('has a serial number of its content', () => {
    const serial = (of: Inventory) => (JSON.parse(cyclonedxDocument(of)) as { serialNumber: string }).serialNumber;
    expect(serial(inventory)).toBe(serial({ ...inventory }));
    expect(serial(inventory)).not.toBe(serial({ ...inventory, epoch: inventory.epoch + 1 }));
  });
});

describe('SPDX', () => {
  it("is read and found valid by SPDX's own library", async (context) => {
    const why = whyNoSpdx();
    if (why) context.skip(why);
    const validator = await buildSpdxValidator();
    await withScratch(async (folder) => {
      const file = join(folder, 'sbom.spdx.json');
      await writeFile(file, spdxDocument(inventory));
      const lines = (await runProgram(validator, [file])).stdout.toString().split('\n');
      expect(lines[0]).toMatch(/^SPDX-2\.3 https:\/\/boxship\.example\/spdx\/acme-gateway-1\.4\.0-qemux86-64-pro-[0-9a-f-]{36}$/);
      expect(lines).toContain(`reference PACKAGE-MANAGER purl ${URL_OF_LIBSTDCXX}`);
      expect(lines).toContain(`reference PACKAGE-MANAGER purl ${URL_OF_GATEWAY}`);
      expect(lines.filter((line) => line.startsWith('package '))).toHaveLength(8);
      expect(lines.filter((line) => line.startsWith('relationship '))).toHaveLength(8);
      expect(lines).toContain('relationship Part-1 CONTAINS Part-1-Package-0');

      await writeFile(file, spdxDocument(inventory).replace('"SPDXRef-Part-1",', '"SPDXRef-Part-9",')); // it can say no
      await expect(runProgram(validator, [file])).rejects.toThrow(/Part-1/);
    });
  }); // prettier-ignore
});
