import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { MiB, UserError, type ByteRange } from '@boxship/model';

export const BMAP_BLOCK = 4096;

/** A run of whole blocks of an image and its SHA-256 (hex). */
export interface RangeDigest extends ByteRange {
  readonly sha256: string;
}

/** What a block map says: which blocks of an image matter, and what they hold. Other blocks need not be written. */
export interface Bmap {
  readonly version: string;
  readonly imageSize: number;
  readonly blockSize: number;
  /** Name of a hash of node:crypto, or nothing when the ranges have no checksums (before 1.3). */
  readonly checksumType?: string;
  readonly ranges: readonly (ByteRange & { readonly checksum?: string })[];
}

/**
 * `ranges` as a block map counts them: whole blocks, in order, merged where they touch. The last block may reach over
 * the end of the image; here it ends with it.
 */
export function mapBlocks(ranges: readonly ByteRange[], imageSize: number): ByteRange[] {
  const blocks: { start: number; end: number }[] = [];
  for (const range of [...ranges].sort((a, b) => a.start - b.start)) {
    if (range.end <= range.start) continue;
    const start = range.start - (range.start % BMAP_BLOCK);
    const end = Math.min(imageSize, Math.ceil(range.end / BMAP_BLOCK) * BMAP_BLOCK);
    if (range.end > imageSize) throw new Error(`range ends at ${range.end}, the image at ${imageSize}`);
    const last = blocks.at(-1);
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else blocks.push({ start, end });
  }
  return blocks;
}

/**
 * The text of a block map, version 2.0, that `bmaptool copy` verifies and follows (bmap-tools, BmapCreate.py).
 * `ranges` are those of `digestImage`. Bytes outside them keep what the device had before: map what must be zero.
 */
export function createBmap({
  imageSize,
  ranges,
}: {
  readonly imageSize: number;
  readonly ranges: readonly RangeDigest[];
}): string {
  const lines = ranges.map(({ start, end, sha256 }) => {
    const [first, last] = [start / BMAP_BLOCK, Math.ceil(end / BMAP_BLOCK) - 1];
    return `        <Range chksum="${sha256}"> ${first === last ? first : `${first}-${last}`} </Range>`;
  });
  const mapped = ranges.reduce((sum, { start, end }) => sum + Math.ceil((end - start) / BMAP_BLOCK), 0);
  const zeros = '0'.repeat(64);
  const text = `<?xml version="1.0" ?>
<!-- Block map: the ranges below are what of the image must be written; bmaptool copies them alone. -->
<bmap version="2.0">
    <ImageSize> ${imageSize} </ImageSize>
    <BlockSize> ${BMAP_BLOCK} </BlockSize>
    <BlocksCount> ${Math.ceil(imageSize / BMAP_BLOCK)} </BlocksCount>
    <MappedBlocksCount> ${mapped} </MappedBlocksCount>
    <ChecksumType> sha256 </ChecksumType>
    <!-- SHA-256 of this file with 64 zeros in this place -->
    <BmapFileChecksum> ${zeros} </BmapFileChecksum>
    <BlockMap>
${lines.join('\n')}
    </BlockMap>
</bmap>
`;
  return text.replace(zeros, createHash('sha256').update(text).digest('hex'));
}

/**
 * Reads a block map of version 1.2 to 2.x and checks the checksum that it has of itself (1.3 and later).
 * Errors: BMAP_INVALID, BMAP_UNSUPPORTED.
 */
export function readBmap(text: string, file = 'the block map'): Bmap {
  const invalid = (what: string) =>
    new UserError('BMAP_INVALID', `${file}: ${what}`, 'Fetch it again, or remove it: the whole image is used then.');
  const plain = text.replace(/<!--[^]*?-->/g, '');
  const element = (name: string) => new RegExp(`<${name}>\\s*([^<\\s]+)\\s*</${name}>`).exec(plain)?.[1];
  const version = /<bmap\s+version\s*=\s*"([^"]+)"/.exec(plain)?.[1];
  if (!version) throw invalid('no <bmap version="…"> in it');
  const [major, minor] = version.split('.').map(Number) as [number, number];
  if (!(major === 2 || (major === 1 && minor >= 2))) {
    throw new UserError('BMAP_UNSUPPORTED', `${file}: version ${version} is not one of 1.2 to 2.x`);
  }
  const number = (name: string): number => {
    const value = element(name);
    if (value === undefined || !/^\d+$/.test(value)) throw invalid(`<${name}> is ${value ?? 'missing'}`);
    return Number(value);
  };
  const [imageSize, blockSize, blocks] = [number('ImageSize'), number('BlockSize'), number('BlocksCount')];
  if (blockSize < 1 || blocks !== Math.ceil(imageSize / blockSize)) {
    throw invalid(`${blocks} blocks of ${blockSize} bytes are not an image of ${imageSize} bytes`);
  }
  // 1.3 had <BmapFileSHA1> and sha1="…"; 1.4 brought ChecksumType, <BmapFileChecksum> and chksum="…".
  const checksumType = element('ChecksumType') ?? (/<Range\s+sha1=/.test(plain) ? 'sha1' : undefined);
  const own = element('BmapFileChecksum') ?? element('BmapFileSHA1');
  if (own !== undefined) {
    const computed = hashOf(checksumType ?? 'sha1', file)
      .update(text.replace(own, '0'.repeat(own.length)))
      .digest('hex');
    if (computed !== own) throw invalid(`its own checksum is ${own}, its text gives ${computed}`);
  }
  const ranges = [...plain.matchAll(/<Range([^>]*)>\s*(\d+)\s*(?:-\s*(\d+)\s*)?<\/Range>/g)].map((match) => {
    const [first, last] = [Number(match[2]), Number(match[3] ?? match[2])];
    if (last < first || last >= blocks) throw invalid(`range ${first}-${last} is not within ${blocks} blocks`);
    const checksum = /(?:chksum|sha1)\s*=\s*"([0-9a-fA-F]+)"/.exec(match[1]!)?.[1]?.toLowerCase();
    return {
      start: first * blockSize,
      end: Math.min(imageSize, (last + 1) * blockSize),
      ...(checksum === undefined ? {} : { checksum }),
    };
  });
  for (const [index, { start }] of ranges.entries()) {
    if (index > 0 && start < ranges[index - 1]!.end) throw invalid('its ranges are not in order');
  }
  return { version, imageSize, blockSize, ...(checksumType ? { checksumType } : {}), ranges };
}

/**
 * Checks the image at `path` against its block map: size, and the checksum of every range that has one.
 * Errors: BMAP_MISMATCH, naming the first range that differs.
 */
export async function verifyWithBmap(
  path: string,
  bmap: Bmap,
  onBytes: (bytes: number) => void = () => {},
): Promise<void> {
  const hint = 'Image and block map are not of one build, or the image is damaged: fetch both again.';
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    if (size !== bmap.imageSize) {
      throw new UserError('BMAP_MISMATCH', `${path} is ${size} bytes, its block map says ${bmap.imageSize}`, hint);
    }
    const buffer = Buffer.allocUnsafeSlow(MiB);
    for (const { start, end, checksum } of bmap.ranges) {
      if (checksum === undefined) continue;
      const hash = hashOf(bmap.checksumType ?? 'sha1', path);
      for (let at = start; at < end;) {
        const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, end - at), at);
        if (bytesRead === 0) throw new UserError('BMAP_MISMATCH', `${path} ends at ${at} while it is read`, hint);
        hash.update(buffer.subarray(0, bytesRead));
        at += bytesRead;
        onBytes(bytesRead);
      }
      const computed = hash.digest('hex');
      if (computed !== checksum) {
        throw new UserError(
          'BMAP_MISMATCH',
          `bytes ${start}..${end} of ${path} have the checksum ${computed}, its block map says ${checksum}`,
          hint,
        );
      }
    }
  } finally {
    await handle.close();
  }
}

function hashOf(type: string, file: string) {
  try {
    return createHash(type);
  } catch {
    throw new UserError('BMAP_UNSUPPORTED', `${file}: the checksum type "${type}" is not known`);
  }
}
