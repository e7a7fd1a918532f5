import { digestHex, type Digest } from '@boxship/model';
import { uuidOf } from './content-uuid.ts';
import type { Inventory, InventoryPart } from './inventory.ts';
import { packageUrl } from './package-url.ts';
import { osName, type OperatingSystem, type SoftwarePackage } from './software-package.ts';

/** Media type of `cyclonedxDocument`. */
export const CYCLONEDX_TYPE = 'application/vnd.cyclonedx+json';

/**
 * CycloneDX 1.6, JSON (ECMA-424): the release, its files, the base image and the container images with their packages, and who
 * depends on whom. Serial number and time follow from the content. A package manager's word for a licence is kept as a name,
 * because it need not be an SPDX expression.
 */
export function cyclonedxDocument(inventory: Inventory): string {
  const { name, version, tool, files, parts } = inventory;
  const root = 'release';
  const document = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      timestamp: new Date(inventory.epoch * 1000).toISOString().replace('.000Z', 'Z'),
      tools: { components: [{ type: 'application', name: 'boxship', version: tool }] },
      component: {
        type: 'firmware',
        'bom-ref': root,
        name,
        version,
        components: files.map((file) => ({ type: 'file', 'bom-ref': `file:${file.name}`, name: file.name, hashes: hashes(file.digest) })),
      },
    },
    components: parts.map(partComponent),
    dependencies: [
      { ref: root, dependsOn: parts.map(partRef) },
      ...parts.map((part) => ({ ref: partRef(part), dependsOn: [] })),
    ],
    compositions: parts.map((part) => ({ aggregate: completeness(part), assemblies: [partRef(part)] })),
  }; // prettier-ignore
  const serialNumber = `urn:uuid:${uuidOf(JSON.stringify(document))}`;
  const { bomFormat, specVersion, ...rest } = document;
  return `${JSON.stringify({ bomFormat, specVersion, serialNumber, ...rest }, null, 2)}\n`;
}

function partComponent(part: InventoryPart) {
  const { software } = part;
  return {
    type: part.kind === 'base' ? 'firmware' : 'container',
    'bom-ref': partRef(part),
    name: part.name,
    ...(part.version === undefined ? {} : { version: part.version }),
    hashes: hashes(part.digest),
    ...(part.purl === undefined ? {} : { purl: part.purl }),
    properties: [
      ...(software?.os ? [{ name: 'boxship:os', value: osName(software.os) }] : []),
      ...(software ? [] : [{ name: 'boxship:packages', value: 'not looked at' }]),
      ...(software?.unread ?? []).map((path) => ({ name: 'boxship:unread-database', value: `/${path}` })),
    ],
    components: (software?.packages ?? []).map((one) => packageComponent(part, one, software?.os)),
  };
}

function packageComponent(part: InventoryPart, one: SoftwarePackage, os: OperatingSystem | undefined) {
  const purl = packageUrl(one, os);
  return {
    type: 'library',
    'bom-ref': `${partRef(part)}#${one.manager}:${one.name}@${one.version}:${one.architecture ?? ''}`,
    name: one.name,
    version: one.version,
    ...(one.license === undefined ? {} : { licenses: [{ license: { name: one.license } }] }),
    ...(purl === undefined ? {} : { purl }),
    properties: [
      { name: 'boxship:package-manager', value: one.manager },
      ...(one.architecture === undefined ? [] : [{ name: 'boxship:architecture', value: one.architecture }]),
      ...(one.source === undefined ? [] : [{ name: 'boxship:source-package', value: one.source }]),
    ],
  };
}

/** Packages outside of package managers are not looked for: what is listed is never all. */
function completeness({ software }: InventoryPart): 'incomplete' | 'unknown' {
  return software && software.unread.length === 0 ? 'incomplete' : 'unknown';
}

function partRef({ kind, name }: InventoryPart): string {
  return `${kind}:${name}`;
}

function hashes(digest: Digest) {
  return [{ alg: 'SHA-256', content: digestHex(digest) }];
}
