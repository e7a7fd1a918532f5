import { UserError, alignUp, formatByteSize } from '@boxship/model';
import {
  BLOCK_SIZE, MAX_BLOCKS, blocksForInodes, chooseGeometry, inodeCapacity, nextUsableSize, type GeometryNeeds,
} from './geometry.ts'; // prettier-ignore
import { layOut } from './layout.ts';
import { place, type Contents, type Placement } from './placement.ts';

/** How large the file system shall be, in bytes. */
export type Ext4Size =
  | {
      readonly exact: number;
      /** Part of the file system, 0 to below 1, that must be free: 0 when absent. */
      readonly reserveFraction?: number;
    }
  | {
      readonly auto: true;
      /** Part of the file system, 0 to below 1, that stays free. */
      readonly reserveFraction: number;
      readonly minimum?: number;
      /** The size is a multiple of this: a block when absent. */
      readonly step?: number;
    };

/**
 * A placement that holds everything. Errors: STORE_FULL, with the smallest size above the one that was given that will do.
 * A size below may do, too: the journal grows in steps with the file system, so that 8 MiB hold less than 7 MiB.
 */
export function fit(contents: Contents, size: Ext4Size, needs: GeometryNeeds): Placement {
  if ('auto' in size) {
    const { reserveFraction: reserve, minimum = 0, step = BLOCK_SIZE } = size;
    const wish = { reserve, minimum: Math.ceil(minimum / BLOCK_SIZE), step: Math.ceil(step / BLOCK_SIZE) };
    return fitSmallest(contents, wish, needs);
  }
  const { exact, reserveFraction: reserve = 0 } = size;
  const given = Math.floor(exact / BLOCK_SIZE);
  const attempt = tryFit(contents, given, needs);
  if ('placement' in attempt && missingReserve(attempt, reserve) <= 0) return attempt.placement;
  const enough = fitSmallest(contents, { reserve, minimum: given + 1, step: 1 }, needs).layout.geometry.blocks;
  throw new UserError(
    'STORE_FULL',
    `the files need a file system of ${inBytes(enough * BLOCK_SIZE)}, it has ${inBytes(exact)}`,
    'Make the file system larger, or put less into it.',
  );
}

interface Wish {
  readonly reserve: number;
  /** Blocks. */
  readonly minimum: number;
  readonly step: number;
}

/** The smallest size, in blocks, from `minimum` on and a multiple of `step`, that will do. */
function fitSmallest(contents: Contents, { reserve, minimum, step }: Wish, needs: GeometryNeeds): Placement {
  let size = alignUp(Math.max(minimum, blocksForInodes(needs)), step);
  for (;;) {
    if (size > MAX_BLOCKS) {
      throw new UserError('STORE_FULL', `the files need more than ${inBytes(MAX_BLOCKS * BLOCK_SIZE)}`);
    }
    const attempt = tryFit(contents, size, needs);
    const got = attempt.blocks;
    const missing = 'placement' in attempt ? missingReserve(attempt, reserve) : attempt.missing;
    if ('placement' in attempt && missing <= 0 && got >= minimum) return attempt.placement;
    // each block that is added gives at most one free block, so that this never goes past the smallest size
    const wanted = got + Math.max(1, Math.ceil(missing / (1 - reserve)));
    size = alignUp(wanted > size ? wanted : nextUsableSize(got, needs), step);
  }
}

/** Blocks by which too few are free. */
function missingReserve({ blocks, free }: { readonly blocks: number; readonly free: number }, reserve: number): number {
  return Math.ceil(blocks * reserve) - free;
}

type Attempt = { blocks: number } & ({ missing: number } | { placement: Placement; free: number });

/** `blocks` of the result: those of the geometry, which may leave off a last group that is too small. */
function tryFit(contents: Contents, size: number, needs: GeometryNeeds): Attempt {
  if (size < blocksForInodes(needs)) return { blocks: size, missing: blocksForInodes(needs) - size };
  const geometry = chooseGeometry(size, needs);
  const { blocks } = geometry;
  if (inodeCapacity(geometry) < needs.usedInodes + needs.freeInodes) return { blocks, missing: 1 };
  const layout = layOut(geometry);
  if (!layout) return { blocks, missing: 1 };
  return { blocks, ...place(contents, layout) };
}

function inBytes(bytes: number): string {
  return `${formatByteSize(bytes)} (${bytes} bytes)`;
}
