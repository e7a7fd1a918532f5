import { digestHex, type Digest, type Variant } from '@boxship/model';
import { imageUrl } from '@boxship/sbom';
import type { ReleaseFile, ReleaseOrigin } from './release.ts';

/** in-toto attestation, spec/v1/statement.md */
const STATEMENT = 'https://in-toto.io/Statement/v1';
/** slsa.dev/spec/v1.0/provenance */
const PREDICATE = 'https://slsa.dev/provenance/v1';
/** What the parameters below mean: docs/release-file.md, "Documents". */
const BUILD_TYPE = 'https://boxship.example/compose/v1';
const BUILDER = 'https://boxship.example/boxship';

/**
 * Where the files of a release come from, as an in-toto statement with SLSA's provenance v1: the variant with every default filled
 * in, and the digest of every input. Without a time or an invocation, because equal inputs give equal bytes.
 */
export function provenanceStatement(variant: Variant, files: readonly ReleaseFile[], madeFrom?: ReleaseOrigin): string {
  const { base, images, tools, epoch: _, ...parameters } = variant;
  const { boxship, ...programs } = tools;
  return JSON.stringify({
    _type: STATEMENT,
    subject: files.map(({ name, digest }) => ({ name, digest: sha256(digest) })),
    predicateType: PREDICATE,
    predicate: {
      buildDefinition: {
        buildType: BUILD_TYPE,
        externalParameters: parameters,
        internalParameters: { programs },
        resolvedDependencies: [
          ...(madeFrom
            ? [{ name: `release ${madeFrom.version}, ${madeFrom.kept} kept`, digest: sha256(madeFrom.file) }]
            : []),
          ...(base ? [{ name: `base image of ${variant.machine.name}`, digest: sha256(base.digest) }] : []),
          ...images.map(({ reference, manifest, platform }) => ({
            name: reference,
            uri: imageUrl(reference, manifest.digest, platform.split('/')[1] ?? ''),
            digest: sha256(manifest.digest),
          })),
          ...parameters.apps.map(({ name, digest }) => ({ name: `app ${name}`, digest: sha256(digest) })),
        ],
      },
      runDetails: { builder: { id: BUILDER, version: { boxship } } },
    },
  });
}

function sha256(digest: Digest) {
  return { sha256: digestHex(digest) };
}
