import { UserError, formatByteSize } from '@boxship/model';
import {
  BLOCK_SIZE, MAX_BLOCKS, blocksForInodes, chooseGeometry, inodeCapacity, nextUsableSize, type GeometryNeeds,
} from './geometry.ts'; // prettier-ignore
import { layOut } from './layout.ts';
import { place, type Contents, type Placement } from './placement.ts';

/** How large the file system shall be, in bytes. */
export type Ext4Size =
  | { readonly exact: number }
  | {
      readonly auto: true;
      /** Part of the file system, 0 to below 1, that stays free. */
      readonly reserveFraction: number;
      readonly minimum?: number;
    };

/** A placement that holds everything. Errors: STORE_FULL, with what is needed and what there is. */
export function fit(contents: Contents, size: Ext4Size, needs: GeometryNeeds): Placement {
  if ('auto' in size) return fitSmallest(contents, size.reserveFraction, size.minimum ?? 0, needs);
  const attempt = tryFit(contents, Math.floor(size.exact / BLOCK_SIZE), needs);
  if ('placement' in attempt) return attempt.placement;
  const smallest = fitSmallest(contents, 0, 0, needs).layout.geometry.blocks * BLOCK_SIZE;
  throw new UserError(
    'STORE_FULL',
    `the files need a file system of ${inBytes(smallest)}, it has ${inBytes(size.exact)}`,
    'Make the file system larger, or put less into it.',
  );
}

function fitSmallest(contents: Contents, reserveFraction: number, minimum: number, needs: GeometryNeeds): Placement {
  let blocks = Math.max(Math.ceil(minimum / BLOCK_SIZE), blocksForInodes(needs));
  for (;;) {
    if (blocks > MAX_BLOCKS) {
      throw new UserError('STORE_FULL', `the files need more than ${inBytes(MAX_BLOCKS * BLOCK_SIZE)}`);
    }
    const attempt = tryFit(contents, blocks, needs);
    const got = attempt.blocks;
    let missing: number;
    if ('placement' in attempt) {
      missing = Math.ceil(got * reserveFraction) - attempt.free;
      if (missing <= 0 && got * BLOCK_SIZE >= minimum) return attempt.placement;
    } else {
      missing = attempt.missing;
    }
    // each block that is added gives at most one free block, so that this never goes past the smallest size
    const wanted = got + Math.max(1, Math.ceil(missing / (1 - reserveFraction)));
    blocks = wanted > blocks ? wanted : nextUsableSize(got, needs);
  }
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
