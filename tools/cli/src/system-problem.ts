import type { Problem } from '@boxship/model';

/** What the operating system said, as Node gives it; handles that are open already have no path. */
interface SystemError extends Error {
  readonly code: string;
  readonly syscall?: string;
  readonly path?: string;
  readonly dest?: string;
}

const FULL_HINT = 'Free some space there, or use another place: --out DIR for artifacts, --cache DIR for the cache.';
const ACCESS_HINT =
  'Boxship needs no root: run it as a user who may write there, or use another place (--out, --cache).';

/** By errno name: the message for a path in words, and what to do. */
const WORDS: Readonly<Record<string, { readonly what: string; readonly hint: string }>> = {
  ENOSPC: { what: 'the disk is full', hint: FULL_HINT },
  EDQUOT: { what: 'the disk quota is used up', hint: FULL_HINT },
  EFBIG: { what: 'the file system allows no file of this size', hint: 'Use a disk with ext4, xfs or btrfs.' },
  EACCES: { what: 'no permission', hint: ACCESS_HINT },
  EPERM: { what: 'no permission', hint: ACCESS_HINT },
  EROFS: { what: 'the file system is read-only', hint: ACCESS_HINT },
  EIO: { what: 'the disk does not read or write', hint: 'Look at the kernel log (dmesg): the medium may be failing.' },
  EMFILE: { what: 'too many open files', hint: 'Raise the limit: ulimit -n 4096.' },
  ENFILE: { what: 'too many open files on this machine', hint: 'Close other programs.' },
  EEXIST: { what: 'something of this name is in the way', hint: 'Name a folder, or move that file away.' },
  ENOTDIR: { what: 'a part of this path is not a folder', hint: 'Name a folder, or move that file away.' },
  EISDIR: { what: 'this is a folder, not a file', hint: 'Name a file.' },
};

/** The user's problem behind an error of the operating system; undefined when it is none that a user can mend. */
export function systemProblem(error: unknown): Problem | undefined {
  const found = findSystemError(error);
  if (!found) return undefined;
  const { what, hint } = WORDS[found.code]!;
  const path = found.dest ?? found.path;
  const doing = path === undefined ? `while Boxship did "${found.syscall ?? 'write'}"` : path;
  return { code: found.code, message: path === undefined ? `${what} ${doing}` : `${doing}: ${what}`, hint };
}

function findSystemError(error: unknown): SystemError | undefined {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code } = at as SystemError;
    if (typeof code === 'string' && Object.hasOwn(WORDS, code)) return at as SystemError;
  }
  return undefined;
}
