import type { PlannedFormat } from '../artifact-format.ts';
import { storePart } from '../payload.ts';
import type { TeziFields } from '../tezi/compose-image-json.ts';
import { teziExchange } from '../tezi/tezi-exchange.ts';
import { bytesPart, planOnTezi, tarOf, unpackedSize } from '../tezi/tezi-plan.ts';
import { OWN_FILES } from '../tezi/compose-image-json.ts';

/** An archive for Toradex Easy Installer: the vendor's files as they are, our partitions beside them. */
export const tezi: PlannedFormat = {
  name: 'tezi',
  readOptions: ({ name, description, autoinstall }) => ({
    format: 'tezi',
    ...(name === undefined ? {} : { name: name as string }),
    ...(description === undefined ? {} : { description: description as string }),
    ...(autoinstall === undefined ? {} : { autoinstall: autoinstall as boolean }),
  }),
  describe: () => 'tezi',
  programs: () => [],
  async plan(release, [wanted]) {
    const { store, data, dataTree } = release;
    return await planOnTezi(release, wanted as TeziFields, {
      storeBytes: store.sizeBytes,
      store: { name: OWN_FILES.store, size: store.sizeBytes, filesystem: store },
      dataBytes: data.sizeBytes,
      dataContentBytes: unpackedSize(dataTree),
      data: bytesPart(OWN_FILES.data, await tarOf(dataTree)),
      payload: (start) => storePart(release, start),
    });
  },
  exchange: teziExchange,
};
