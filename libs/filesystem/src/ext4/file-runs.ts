import type { ContentSource, FileSegment, TreeEntry } from '@boxship/model';
import { float64Column, uint32Column } from './column.ts';
import { BLOCK_SIZE } from './geometry.ts';
import { JoinedColumn } from './joined-column.ts';
import { badTree } from './tree-error.ts';

/** Sparse files: their blocks on the disk as runs, and where the bytes of their segments go. */
export class FileRuns {
  /** A run: first block in the file, first block in data space, blocks. */
  readonly fileBlock = new JoinedColumn(uint32Column());
  readonly spaceBlock = new JoinedColumn(uint32Column());
  readonly length = new JoinedColumn(uint32Column());
  /** A segment: inode, position in the source, bytes, position in data space in bytes, 1 for the last of its file. */
  readonly segmentInode = new JoinedColumn(uint32Column());
  readonly segmentOffset = new JoinedColumn(float64Column());
  readonly segmentLength = new JoinedColumn(float64Column());
  readonly segmentTarget = new JoinedColumn(float64Column());

  /** Takes in the runs of another table, whose inodes and blocks of data space are so many more here. Returns the first run. */
  join(runs: FileRuns, inodes: number, blocks: number): number {
    const first = this.length.length;
    this.fileBlock.join(runs.fileBlock);
    this.spaceBlock.join(runs.spaceBlock, blocks);
    this.length.join(runs.length);
    this.segmentInode.join(runs.segmentInode, inodes);
    this.segmentOffset.join(runs.segmentOffset);
    this.segmentLength.join(runs.segmentLength);
    this.segmentTarget.join(runs.segmentTarget, blocks * BLOCK_SIZE);
    return first;
  }

  /** Adds the segments of a file whose blocks start at `spaceBlock` of data space. */
  add(
    inode: number,
    entry: TreeEntry,
    segments: readonly FileSegment[],
    source: ContentSource,
    spaceBlock: number,
  ): { run: number; count: number; blocks: number } {
    const run = this.length.length;
    let blocks = 0;
    let position = 0;
    let offset = 0;
    /** End of the last run, as a block of the file. */
    let runEnd = -1;
    for (const segment of segments) {
      if (segment.length === 0) continue;
      const end = segment.position + segment.length;
      if (
        !(segment.length > 0 && segment.position >= position && end <= entry.size) ||
        !(segment.offset >= offset && segment.offset + segment.length <= source.size)
      ) {
        throw badTree(
          entry.path,
          `its segment of ${segment.length} bytes at ${segment.position} (at ${segment.offset} of the source) is out of order or beyond the end`,
        );
      }
      const firstBlock = Math.floor(segment.position / BLOCK_SIZE);
      const endBlock = Math.ceil(end / BLOCK_SIZE);
      if (firstBlock > runEnd) {
        this.fileBlock.push(firstBlock);
        this.spaceBlock.push(spaceBlock + blocks);
        this.length.push(endBlock - firstBlock);
        blocks += endBlock - firstBlock;
      } else {
        // goes on in the block that the last segment ended in, or right behind it
        this.length.add(this.length.length - 1, endBlock - runEnd);
        blocks += endBlock - runEnd;
      }
      runEnd = endBlock;
      this.segmentInode.push(inode);
      this.segmentOffset.push(segment.offset);
      this.segmentLength.push(segment.length);
      this.segmentTarget.push((spaceBlock + blocks - endBlock) * BLOCK_SIZE + segment.position);
      position = end;
      offset = segment.offset + segment.length;
    }
    return { run, count: this.length.length - run, blocks };
  }
}
