import type { ArtifactOptions } from '@boxship/model';
import type { ArtifactFormat } from '../artifact-format.ts';
import { compressorOf, type RawArtifactOptions } from '../raw-files.ts';
import { planOnBase } from '../raw-plan.ts';
import { rawExchange } from '../raw-exchange.ts';

/** The image of a whole disk, plain or compressed, with a block map. */
export const raw: ArtifactFormat = {
  name: 'raw',
  readOptions: ({ compression = 'none', bmap = true }) => ({
    format: 'raw',
    compression: compression as string,
    bmap: bmap === true,
  }),
  describe: (options) => `raw with compression ${optionsOf(options).compression}`,
  programs: (options) => compressorOf(optionsOf(options).compression),
  async plan(release, wanted) {
    const { store, data } = release;
    const own = {
      storeBytes: store.sizeBytes,
      dataBytes: data.sizeBytes,
      place: (storePartition: { readonly start: number }, dataPartition: { readonly start: number }) => ({
        filesystems: [
          { start: storePartition.start, plan: store },
          { start: dataPartition.start, plan: data },
        ],
      }),
    };
    return await planOnBase(release, own, wanted.map(optionsOf));
  },
  exchange: rawExchange(optionsOf),
};

function optionsOf(options: ArtifactOptions): RawArtifactOptions {
  return options as unknown as RawArtifactOptions; // `readOptions` made them
}
