import { rm } from 'node:fs/promises';
import { sep } from 'node:path';
import type { Cache } from '@boxship/host';
import { UserError } from '@boxship/model';

const DAMAGED = new Set(['WRONG_DIGEST', 'TRUNCATED_BLOB', 'WRONG_SIZE']);

/**
 * When `error` tells of a damaged blob in the cache, removes the blob, since later runs would trust its size, and gives the
 * error that says so. Undefined for every other error.
 */
export async function removeDamagedBlob(error: unknown, cache: Cache): Promise<UserError | undefined> {
  if (!(error instanceof UserError)) return undefined;
  const damaged = error.problems.filter(
    ({ code, where }) => DAMAGED.has(code) && where?.file.startsWith(`${cache.root}${sep}`),
  );
  if (damaged.length === 0) return undefined;
  const removed = new Set<string>();
  for (const { where } of damaged) {
    await rm(where!.file, { force: true }).then(
      () => removed.add(where!.file),
      () => {}, // a cache that is read-only
    );
  }
  return new UserError(
    error.problems.map((problem) =>
      damaged.includes(problem)
        ? {
            ...problem,
            hint: removed.has(problem.where!.file)
              ? 'It was damaged in the cache and is removed. Run: boxship lock'
              : 'It is damaged in the cache: remove it there, and run: boxship lock',
          }
        : problem,
    ),
  );
}
