import { join } from 'node:path';
import { signStatement, type Signer } from 'cosign-node-binding';
import { writeFileAtomically } from '@boxship/host';
import type { ReleaseDocument, Variant } from '@boxship/model';
import { CYCLONEDX_TYPE, SPDX_TYPE, cyclonedxDocument, spdxDocument, type Inventory } from '@boxship/sbom';
import { inputParts } from './inventory-parts.ts';
import type { PreparedRelease } from './prepare-variant.ts';
import { provenanceStatement } from './provenance.ts';
import { digestOfBytes, type ReleaseFile, type ReleaseOrigin } from './release.ts';

/** What a document is called behind the name of the release, and what a registry calls it. */
export const documentForms: Readonly<Record<ReleaseDocument, { readonly ending: string; readonly mediaType: string }>> =
  {
    cyclonedx: { ending: '.cdx.json', mediaType: CYCLONEDX_TYPE },
    spdx: { ending: '.spdx.json', mediaType: SPDX_TYPE },
    /** A Sigstore bundle with a signed statement in it, as `cosign verify-blob-attestation --bundle` takes it. */
    provenance: { ending: '.provenance.json', mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json' },
  };

/** Names of the documents that a variant asks for. */
export function documentNames(variant: Variant): readonly string[] {
  return (variant.documents ?? []).map((document) => documentName(variant, document));
}

function documentName(variant: Variant, document: ReleaseDocument): string {
  return `${releaseName(variant)}${documentForms[document].ending}`;
}

function releaseName({ product, version, machine, name }: Variant): string {
  return `${product}-${version}-${machine.name}-${name}`;
}

/** Writes the documents about `files` beside them; `madeFrom` is the release that they were made of, when there is one. */
export async function writeDocuments(
  folder: string,
  { variant, readParts }: Pick<PreparedRelease, 'variant' | 'readParts'>,
  files: readonly ReleaseFile[],
  signer: Signer,
  madeFrom: ReleaseOrigin | undefined,
): Promise<readonly ReleaseFile[]> {
  const documents = variant.documents ?? [];
  const listsParts = documents.some((document) => document !== 'provenance');
  const inventory: Inventory = {
    name: releaseName(variant),
    version: variant.version,
    tool: variant.tools['boxship']!,
    epoch: variant.epoch,
    files,
    parts: (listsParts && readParts ? await readParts() : undefined) ?? inputParts(variant),
  };
  const write: Readonly<Record<ReleaseDocument, () => string | Promise<string>>> = {
    cyclonedx: () => cyclonedxDocument(inventory),
    spdx: () => spdxDocument(inventory),
    provenance: () => signStatement(signer, provenanceStatement(variant, files, madeFrom)),
  };
  const written: ReleaseFile[] = [];
  for (const document of documents) {
    const bytes = Buffer.from(await write[document]());
    const name = documentName(variant, document);
    await writeFileAtomically(join(folder, name), bytes);
    written.push({ name, size: bytes.length, digest: digestOfBytes(bytes), document });
  }
  return written;
}
