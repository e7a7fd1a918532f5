import { UserError, type RootfsSelector } from '@boxship/model';
import { contentsOf, type CheckedImageJson, type PlacedContent, type TeziContent } from './image-json.ts';

/** Labels of the rootfs: Torizon's, and that of Toradex's BSP reference images (image_type_tezi.bbclass). */
const ROOTFS_LABELS = ['otaroot', 'RFS'];
/** Volume of the rootfs in NAND. */
const ROOTFS_VOLUME = 'rootfs';

/** The content that becomes the rootfs, and which partition of which device it is. */
export interface TeziRootfs extends PlacedContent {
  readonly filename: string;
  readonly device: string;
  /** From 1, as the kernel counts partitions; of a UBI volume, its place in the list. */
  readonly partition: number;
}

/**
 * The content that the system starts from: what the selector names (partition number, or label); else the volume `rootfs`
 * of NAND; else the first partition labelled `otaroot` or `RFS`; else the only one with an ext file system and an archive.
 * Errors: ROOTFS_NOT_FOUND, ROOTFS_AMBIGUOUS, TEZI_NO_ARCHIVE.
 */
export function findTeziRootfs(image: CheckedImageJson, selector?: RootfsSelector): TeziRootfs {
  const candidates = candidatesOf(image);
  const fail = (code: string, message: string) => {
    const lines = candidates.map(({ device, partition, content }) => `\n  ${describe(device, partition, content)}`);
    return new UserError(
      code,
      `${message}; image.json has ${candidates.length} partitions:${lines.join('')}`,
      'Name it in boxship.yaml: machines.<machine>.rootfs: { partition: 2 }, or { name: <label> }.',
      image.locate([]),
    );
  };
  const choose = (): Candidate => {
    if (selector) {
      const matches = candidates.filter(({ partition, content, volume }) =>
        'partition' in selector
          ? partition === selector.partition
          : selector.name === content.label || selector.name === volume,
      );
      const wanted = 'partition' in selector ? `number ${selector.partition}` : `label "${selector.name}"`;
      if (matches.length === 0) throw fail('ROOTFS_NOT_FOUND', `no partition has the ${wanted}`);
      if (matches.length > 1) throw fail('ROOTFS_AMBIGUOUS', `${matches.length} partitions have the ${wanted}`);
      return matches[0]!;
    }
    const volume = candidates.find((candidate) => candidate.volume === ROOTFS_VOLUME);
    if (volume) return volume;
    for (const label of ROOTFS_LABELS) {
      const labelled = candidates.find(({ content }) => content.label === label);
      if (labelled) return labelled;
    }
    const plain = candidates.filter(({ content }) => /^ext/.test(content.filesystem_type ?? '') && content.filename);
    if (plain.length === 1) return plain[0]!;
    const what = `no partition has the label ${ROOTFS_LABELS.join(' or ')}`;
    if (plain.length > 1) throw fail('ROOTFS_AMBIGUOUS', `${what}, and ${plain.length} could be the rootfs`);
    throw fail('ROOTFS_NOT_FOUND', what);
  };
  const found = choose();
  const { content, path, device, partition } = found;
  if (content.filename) return { content, path, device, partition, filename: content.filename };
  throw new UserError(
    'TEZI_NO_ARCHIVE',
    `the rootfs (${describe(device, partition, content)}) has no "filename": it is no archive that could be read`,
    'Boxship reads a rootfs that is an archive; ask the vendor for an image with one.',
    image.locate(path),
  );
}

interface Candidate extends PlacedContent {
  readonly device: string;
  readonly partition: number;
  readonly volume?: string;
}

/** Contents of partitions and UBI volumes; those of whole devices are boot loaders. */
function candidatesOf({ json }: CheckedImageJson): readonly Candidate[] {
  return contentsOf(json).flatMap(({ content, path }): Candidate[] => {
    const [kind, i, , j] = path as [string, number, string, number | undefined];
    if (j === undefined) return [];
    if (kind === 'blockdevs') return [{ content, path, device: json.blockdevs![i]!.name, partition: j + 1 }];
    const mtd = json.mtddevs![i]!;
    return [{ content, path, device: mtd.name, partition: j + 1, volume: mtd.ubivolumes![j]!.name }];
  });
}

function describe(device: string, partition: number, { label, filesystem_type, filename }: TeziContent): string {
  const kind = filesystem_type ?? 'no file system';
  return `${device} ${partition}: ${kind}${label ? ` labelled "${label}"` : ''}${filename ? `, ${filename}` : ''}`;
}
