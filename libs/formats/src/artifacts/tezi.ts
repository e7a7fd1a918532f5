import type { PlannedFormat } from '../artifact-format.ts';
import { storeParts } from '../payload.ts';
import type { TeziFields } from '../tezi/compose-image-json.ts';
import { FILE_OPTIONS, readOwnFiles } from '../tezi/own-files.ts';
import { teziExchange } from '../tezi/tezi-exchange.ts';
import { bytesPart, planOnTezi, tarOf, unpackedSize } from '../tezi/tezi-plan.ts';
import { OWN_FILES } from '../tezi/compose-image-json.ts';

const OPTIONS = [...FILE_OPTIONS, 'name', 'description', 'autoinstall', 'licenseTitle', 'releaseNotesTitle'];

/** An archive for Toradex Easy Installer: the vendor's files as they are, our partitions beside them. */
export const tezi: PlannedFormat = {
  name: 'tezi',
  readOptions: (written) => ({
    format: 'tezi',
    ...Object.fromEntries(OPTIONS.filter((name) => written[name] !== undefined).map((name) => [name, written[name]])),
  }),
  fileOptions: FILE_OPTIONS,
  describe: () => 'tezi',
  programs: () => [],
  async plan(release, [wanted]) {
    const { store, data, dataTree, variant } = release;
    const pathOf = (_option: string, written: string) => release.productFile(written);
    const files = await readOwnFiles(wanted!, '/var', pathOf, variant.epoch);
    return await planOnTezi(release, wanted as TeziFields, {
      files,
      storeBytes: store.sizeBytes,
      store: { name: OWN_FILES.store, size: store.sizeBytes, filesystem: store },
      dataBytes: data.sizeBytes,
      dataContentBytes: unpackedSize(dataTree),
      data: bytesPart(OWN_FILES.data, await tarOf(dataTree)),
      payload: (start) => storeParts(release, start),
    });
  },
  exchange: teziExchange,
};
