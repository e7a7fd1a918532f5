import { UserError, type ArtifactOptions } from '@boxship/model';
import type { ArtifactRelease, PlannedFormat } from '../artifact-format.ts';
import { tezi as teziBase } from '../base-images/tezi.ts';
import { storeParts } from '../payload.ts';
import type { TeziFields } from '../tezi/compose-image-json.ts';
import { FILE_OPTIONS, readOwnFiles } from '../tezi/own-files.ts';
import { teziExchange } from '../tezi/tezi-exchange.ts';
import { bytesPart, planOnTezi, tarOf, unpackedSize } from '../tezi/tezi-plan.ts';
import { OWN_FILES } from '../tezi/compose-image-json.ts';

const OPTIONS = [...FILE_OPTIONS, 'name', 'description', 'autoinstall', 'licenseTitle', 'releaseNotesTitle', 'device'];

/** An archive for Toradex Easy Installer: the vendor's files as they are, our partitions beside them. */
export const tezi: PlannedFormat = {
  name: 'tezi',
  readOptions: (written) => ({
    format: 'tezi',
    ...Object.fromEntries(OPTIONS.filter((name) => written[name] !== undefined).map((name) => [name, written[name]])),
    ...(Array.isArray(written['productIds']) ? { productIds: written['productIds'].join(',') } : {}),
  }),
  fileOptions: FILE_OPTIONS,
  describe: () => 'tezi',
  programs: () => [],
  async plan(asked, [wanted]) {
    const pathOf = (_option: string, written: string) => asked.productFile(written);
    const files = await readOwnFiles(wanted!, '/var', pathOf, asked.variant.epoch);
    const { release, warnings } = await onParts(asked, wanted!);
    const { store, data, dataTree } = release;
    const planned = await planOnTezi(release, wanted as TeziFields, {
      files,
      storeBytes: store.sizeBytes,
      store: { name: OWN_FILES.store, size: store.sizeBytes, filesystem: store },
      dataBytes: data.sizeBytes,
      dataContentBytes: unpackedSize(dataTree),
      data: bytesPart(OWN_FILES.data, await tarOf(dataTree)),
      payload: (start) => storeParts(release, start),
    });
    return { ...planned, warnings: [...warnings, ...planned.warnings] };
  },
  exchange: teziExchange,
};

/**
 * The release on a base for the installer: one that is the image of a disk is taken apart. Errors: BASE_IS_NO_TEZI,
 * TEZI_HAS_PRODUCT_IDS, DISK_NO_TEZI.
 */
async function onParts(
  release: ArtifactRelease,
  { productIds, device = 'emmc' }: ArtifactOptions,
): Promise<{ readonly release: ArtifactRelease; readonly warnings: readonly string[] }> {
  const { base, rootfs, variant } = release;
  if (base.tezi && productIds !== undefined) {
    throw new UserError(
      'TEZI_HAS_PRODUCT_IDS',
      `the base image says itself for which products it is: ${base.tezi.json.supported_product_ids.join(', ')}`,
      'Take productIds out of the artifact: it is for a base that is the image of a disk.',
      base.tezi.locate(['supported_product_ids']),
    );
  }
  if (base.tezi || !base.asParts) return { release, warnings: [] };
  if (productIds === undefined) {
    throw new UserError(
      'BASE_IS_NO_TEZI',
      'the base image is that of a disk: it does not say for which products an installer may take it',
      "Write them: tezi: { productIds: ['0058'] }, or give the vendor's folder or archive with image.json.",
    );
  }
  const facts = { productIds: String(productIds).split(','), device: device as string };
  const parts = await base.asParts(rootfs, facts, teziBase.read);
  // whatever chose the rootfs on the disk, it has the same number
  const machine = { ...variant.machine, rootfs: { partition: rootfs.partition } };
  return {
    release: { ...release, base: parts.image, rootfs: parts.rootfs, variant: { ...variant, machine } },
    warnings: parts.warnings,
  };
}
