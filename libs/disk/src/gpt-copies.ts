import { UserError, type ByteRange, type PartitionTable, type Problem, type RandomReader } from '@boxship/model';
import { copyRanges, isFault, readGptCopy, type GptCopy, type GptFault, type SectorSize } from './gpt.ts';
import { hasBootSignature, readMbrEntries, type MbrEntry } from './mbr.ts';

/** What the two copies of a GPT say, and where they lie. */
export interface GptCopies {
  readonly sectorSize: SectorSize;
  /** The copy to believe: the primary one when it is sound, else the backup. */
  readonly copy: GptCopy;
  /** Sector of the primary entries: what the primary header says, else 2. */
  readonly entriesLba: number;
  /** Header and entries of the backup, when something that calls itself a GPT header is there. */
  readonly backup: readonly ByteRange[];
  readonly warnings: readonly Problem[];
}

const SECTOR_SIZES = [512, 4096] as const;
/** Type byte of the MBR entry that keeps old tools away from a GPT disk (UEFI 2.10, 5.2.3). */
export const PROTECTIVE = 0xee;

/**
 * Both copies of the GPT, or nothing when the image has no sign of one.
 * Errors: GPT_CORRUPT, naming the check that failed for each copy.
 */
export async function readGptCopies(reader: RandomReader, sector0: Uint8Array): Promise<GptCopies | undefined> {
  const faults: { sectorSize: SectorSize; primary: GptFault; backup: GptFault }[] = [];
  for (const sectorSize of SECTOR_SIZES) {
    const primary = await readGptCopy(reader, sectorSize, 1);
    if (!isFault(primary)) return await withPrimary(reader, sectorSize, primary, sector0);
    const lastLba = Math.floor(reader.size / sectorSize) - 1;
    const backup = await readGptCopy(reader, sectorSize, lastLba);
    if (!isFault(backup)) return withBackupAlone(sectorSize, backup, primary, sector0);
    faults.push({ sectorSize, primary, backup });
  }
  const likely = faults.find(({ primary, backup }) => primary.present || backup.present);
  const protective = protectiveEntry(sector0);
  if (!likely && !protective) return undefined;
  const { primary, backup } = likely ?? faults[0]!;
  throw new UserError(
    'GPT_CORRUPT',
    `both copies of the GPT are unusable: primary: ${primary.fault}; backup: ${backup.fault}`,
    'The base image is damaged or cut short: compare its size and checksum with those of the vendor.',
  );
}

/** The 0xEE entry of sector 0, if it has one. */
export function protectiveEntry(sector0: Uint8Array): MbrEntry | undefined {
  return hasBootSignature(sector0) ? readMbrEntries(sector0).find(({ type }) => type === PROTECTIVE) : undefined;
}

/** What a GPT image's warnings have in common. */
const MENDED = 'The composed image gets both copies anew; the base image itself stays as it is.';

async function withPrimary(
  reader: RandomReader,
  sectorSize: SectorSize,
  copy: GptCopy,
  sector0: Uint8Array,
): Promise<GptCopies> {
  const { header } = copy;
  const warnings: Problem[] = sector0Warnings(sector0);
  const lastLba = Math.floor(reader.size / sectorSize) - 1;
  let alternate = await readGptCopy(reader, sectorSize, header.alternate);
  let alternateLba = header.alternate;
  if (isFault(alternate) && !alternate.present && header.alternate !== lastLba) {
    const atEnd = await readGptCopy(reader, sectorSize, lastLba);
    if (!isFault(atEnd) || atEnd.present) [alternate, alternateLba] = [atEnd, lastLba];
  }
  const length = header.slots * header.entrySize;
  let backup: ByteRange[] = [];
  if (isFault(alternate)) {
    const tableSize = (header.alternate + 1) * sectorSize;
    const message =
      tableSize > reader.size
        ? `the backup GPT is missing: the base image is ${reader.size} bytes, its table says ${tableSize}`
        : `the backup GPT is unusable: ${alternate.fault}`;
    warnings.push({ code: 'GPT_BACKUP_CORRUPT', message, hint: MENDED });
    if (alternate.present) {
      backup = copyRanges(alternateLba, alternateLba - Math.ceil(length / sectorSize), length, sectorSize);
    }
  } else {
    backup = copyRanges(alternateLba, alternate.header.entriesStart, length, sectorSize);
    if (!alternate.entries.equals(copy.entries)) {
      warnings.push({
        code: 'GPT_COPIES_DIFFER',
        message: 'the two copies of the GPT are both sound but name different partitions; the primary is used',
        hint: MENDED,
      });
    }
  }
  return { sectorSize, copy, entriesLba: header.entriesStart, backup, warnings };
}

function withBackupAlone(sectorSize: SectorSize, copy: GptCopy, primary: GptFault, sector0: Uint8Array): GptCopies {
  const { header } = copy;
  const length = header.slots * header.entrySize;
  const warning: Problem = {
    code: 'GPT_PRIMARY_CORRUPT',
    message: `the primary GPT is unusable, its backup is used: ${primary.fault}`,
    hint: MENDED,
  };
  return {
    sectorSize,
    copy,
    entriesLba: 2,
    backup: copyRanges(header.own, header.entriesStart, length, sectorSize),
    warnings: [...sector0Warnings(sector0), warning],
  };
}

function sector0Warnings(sector0: Uint8Array): Problem[] {
  if (!protectiveEntry(sector0)) {
    return [
      {
        code: 'GPT_WITHOUT_PROTECTIVE_MBR',
        message: 'the GPT has no protective MBR in sector 0: Linux and most boot loaders overlook such a GPT',
        hint: 'The composed image gets one.',
      },
    ];
  }
  if (readMbrEntries(sector0).some(({ type, count }) => type !== 0 && type !== PROTECTIVE && count > 0)) {
    return [
      {
        code: 'GPT_HYBRID_MBR',
        message: 'sector 0 is a hybrid MBR: it names partitions beside the GPT',
        hint: 'Sector 0 is kept as it is; new partitions are in the GPT alone.',
      },
    ];
  }
  return [];
}

/** The table that the copies describe. */
export function tableFromGpt({ sectorSize, copy, entriesLba, backup, warnings }: GptCopies): PartitionTable {
  const { header } = copy;
  return {
    type: 'gpt',
    sectorSize,
    diskId: header.diskId,
    partitions: copy.partitions,
    usable: { start: header.firstUsable * sectorSize, end: (header.lastUsable + 1) * sectorSize },
    slots: header.slots,
    entrySize: header.entrySize,
    metadata: {
      primary: [
        { start: 0, end: sectorSize },
        ...copyRanges(1, entriesLba, header.slots * header.entrySize, sectorSize),
      ],
      backup,
    },
    warnings,
  };
}
