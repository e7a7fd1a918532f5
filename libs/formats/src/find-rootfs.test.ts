import { describe, expect, it } from 'vitest';
import { MiB, UserError, type Partition, type RootfsSelector, type SystemImage } from '@boxship/model';
import { findRootfs, type PartitionContent } from './find-rootfs.ts';

const LINUX = '0fc63daf-8483-4772-8e79-3d69d8477de4';
const ROOT_ARM64 = 'b921b045-1df0-41c3-af44-4c6f280d3fae';

interface Sample {
  readonly name?: string;
  readonly type?: string;
  readonly content?: PartitionContent;
}

/** A disk whose partitions are a MiB each; the first byte of each is its number. */
function diskOf(samples: readonly Sample[], type: 'gpt' | 'mbr' = 'gpt'): SystemImage {
  const partitions = samples.map((sample, index): Partition => ({
    number: index + 1,
    start: (index + 1) * MiB,
    size: MiB,
    type: sample.type ?? (type === 'gpt' ? LINUX : '83'),
    partitionUuid: `${index}`,
    attributes: 0n,
    ...(sample.name ? { name: sample.name } : {}),
  }));
  const size = (samples.length + 1) * MiB;
  const read = async (position: number, length: number) => new Uint8Array(length).fill(Math.floor(position / MiB));
  const table = {
    type,
    sectorSize: 512 as const,
    diskId: '',
    partitions,
    usable: { start: MiB, end: size },
    slots: 128,
    entrySize: 128,
    metadata: { primary: [], backup: [] },
    warnings: [],
  };
  return { devices: [{ name: 'disk', table, content: { size, read } }] };
}

const find = (
  samples: readonly Sample[],
  options: { selector?: RootfsSelector; architecture?: string } = {},
  type?: 'mbr',
) =>
  findRootfs(diskOf(samples, type), {
    ...options,
    probe: async (content) => {
      expect(content.size).toBe(MiB);
      const number = (await content.read(0, 1))[0]!;
      return samples[number - 1]!.content ?? { isRoot: false };
    },
  }).then(({ partition }) => partition.number);

const fault = (work: Promise<unknown>): Promise<UserError> =>
  work.then(
    () => expect.fail('no error'),
    (error: unknown) => {
      if (error instanceof UserError) return error;
      throw error;
    },
  );

const root: PartitionContent = { filesystem: 'ext4', label: 'rootfs', isRoot: true };
const boot: PartitionContent = { filesystem: 'FAT', label: 'BOOT', isRoot: false };

describe('findRootfs', () => {
  it('takes what the product file names: number, GPT name or label', async () => {
    const samples = [{ name: 'boot', content: boot }, { name: 'system', content: root }, { content: root }];
    expect(await find(samples, { selector: { partition: 3 } })).toBe(3);
    expect(await find(samples, { selector: { name: 'system' } })).toBe(2);
    expect(await find(samples, { selector: { name: 'BOOT' } })).toBe(1);
  });

  it('takes the root type of the architecture, before it looks into partitions', async () => {
    const samples = [{ content: root }, { type: ROOT_ARM64 }];
    expect(await find(samples, { architecture: 'arm64' })).toBe(2);
    expect(await find(samples, { architecture: 'amd64' })).toBe(1);
    expect(await find(samples, { architecture: 'constructor' })).toBe(1);
  });

  it('takes the only partition that holds a root file system', async () => {
    expect(await find([{ content: boot }, { content: root }, {}])).toBe(2);
    expect(await find([{ content: boot }, { type: '0f', content: root }, { content: root }], {}, 'mbr')).toBe(3);
  });

  it('lists the partitions, and says how to name one, when none is a rootfs', async () => {
    const error = await fault(find([{ name: 'boot', content: boot }, {}]));
    expect(error.code).toBe('ROOTFS_NOT_FOUND');
    expect(error.message).toBe(
      [
        'no partition holds a root file system; the base image has 2 partitions:',
        `  1 "boot": 1.0 MiB, type ${LINUX}, FAT labelled "BOOT"`,
        `  2: 1.0 MiB, type ${LINUX}, no file system that we know`,
        '  hint: Name it in boxship.yaml: machines.<machine>.rootfs: { partition: 2 }, or { name: <GPT name or label> }.',
      ].join('\n'),
    );
  });

  it('does not guess between two', async () => {
    const two = await fault(find([{ content: root }, { content: root }]));
    expect(two.code).toBe('ROOTFS_AMBIGUOUS');
    expect(two.message).toContain('partitions 1, 2 look like a root file system: which one is the rootfs is not clear');
    const types = await fault(find([{ type: ROOT_ARM64 }, { type: ROOT_ARM64 }], { architecture: 'arm64' }));
    expect(types.message).toContain('partitions 1, 2 have the root type of arm64');
    const names = await fault(find([{ name: 'a' }, { name: 'a' }], { selector: { name: 'a' } }));
    expect(names.message).toContain('partitions 1, 2 have the name or label "a"');
  });

  it('says so when the one that is named is not there', async () => {
    const error = await fault(find([{ content: root }], { selector: { partition: 4 } }));
    expect(error.code).toBe('ROOTFS_NOT_FOUND');
    expect(error.message).toContain('no partition has the number 4');
  });
});
