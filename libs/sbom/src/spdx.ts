import { digestHex, type Digest } from '@boxship/model';
import { uuidOf } from './content-uuid.ts';
import type { Inventory, InventoryPart } from './inventory.ts';
import { packageUrl } from './package-url.ts';
import { osName, type OperatingSystem, type SoftwarePackage } from './software-package.ts';

/** Media type of `spdxDocument`. */
export const SPDX_TYPE = 'application/spdx+json';

const UNKNOWN = 'NOASSERTION';
const DOCUMENT = 'SPDXRef-DOCUMENT';
const RELEASE = 'SPDXRef-Release';

/**
 * SPDX 2.3, JSON: the release, the files that it is, the base image and the container images with their packages. Its
 * namespace and its time follow from the content. Licences are what package databases say, as text: `NOASSERTION` with a comment,
 * because the words need not be an SPDX expression.
 */
export function spdxDocument(inventory: Inventory): string {
  const { name, version, tool, files, parts } = inventory;
  const relationships = [{ spdxElementId: DOCUMENT, relatedSpdxElement: RELEASE, relationshipType: 'DESCRIBES' }];
  const relate = (from: string, relationshipType: string, to: string) =>
    relationships.push({ spdxElementId: from, relatedSpdxElement: to, relationshipType });
  const packages: object[] = [spdxPackage(RELEASE, name, { versionInfo: version, primaryPackagePurpose: 'FIRMWARE' })];
  for (const [number, file] of files.entries()) {
    const id = `SPDXRef-Artifact-${number}`;
    packages.push(
      spdxPackage(id, file.name, { checksums: checksums(file.digest), packageFileName: file.name, primaryPackagePurpose: 'FILE' }),
    ); // prettier-ignore
    relate(RELEASE, 'CONTAINS', id);
  }
  for (const [number, part] of parts.entries()) {
    const id = `SPDXRef-Part-${number}`;
    packages.push(partPackage(id, part));
    relate(RELEASE, 'CONTAINS', id);
    for (const [at, one] of (part.software?.packages ?? []).entries()) {
      const packageId = `${id}-Package-${at}`;
      packages.push(softwarePackage(packageId, one, part.software?.os));
      relate(id, 'CONTAINS', packageId);
    }
  }
  const document = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: DOCUMENT,
    name,
    creationInfo: {
      created: new Date(inventory.epoch * 1000).toISOString().replace('.000Z', 'Z'),
      creators: [`Tool: boxship-${tool}`],
    },
    packages,
    relationships,
  };
  // section 6.5: unique for each document; equal documents are one
  const documentNamespace = `https://boxship.example/spdx/${encodeURIComponent(name)}-${uuidOf(JSON.stringify(document))}`;
  return `${JSON.stringify({ ...document, documentNamespace }, null, 2)}\n`;
}

function partPackage(id: string, part: InventoryPart): object {
  const { software } = part;
  const notes = [
    ...(software?.os ? [`Operating system: ${osName(software.os)}.`] : []),
    ...(software ? [] : ['Packages in it were not looked at.']),
    ...(software?.unread ?? []).map((path) => `The package database /${path} was not read.`),
  ];
  return spdxPackage(id, part.name, {
    ...(part.version === undefined ? {} : { versionInfo: part.version }),
    checksums: checksums(part.digest),
    ...(part.purl === undefined ? {} : { externalRefs: [packageManagerReference(part.purl)] }),
    ...(notes.length === 0 ? {} : { comment: notes.join(' ') }),
    primaryPackagePurpose: part.kind === 'base' ? 'OPERATING-SYSTEM' : 'CONTAINER',
  });
}

function softwarePackage(id: string, one: SoftwarePackage, os: OperatingSystem | undefined): object {
  const purl = packageUrl(one, os);
  return spdxPackage(id, one.name, {
    versionInfo: one.version,
    ...(one.source === undefined ? {} : { sourceInfo: `built from the source package ${one.source}` }),
    ...(one.license === undefined ? {} : { licenseComments: `The package database says: ${one.license}` }),
    ...(purl === undefined ? {} : { externalRefs: [packageManagerReference(purl)] }),
  });
}

function spdxPackage(id: string, name: string, rest: object): object {
  return {
    SPDXID: id,
    name,
    downloadLocation: UNKNOWN,
    filesAnalyzed: false,
    licenseConcluded: UNKNOWN,
    licenseDeclared: UNKNOWN,
    copyrightText: UNKNOWN,
    ...rest,
  };
}

function packageManagerReference(purl: string): object {
  return { referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl };
}

function checksums(digest: Digest): object[] {
  return [{ algorithm: 'SHA256', checksumValue: digestHex(digest) }];
}
