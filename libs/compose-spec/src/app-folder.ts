import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, posix, relative, resolve, sep } from 'node:path';
import type { AppFile, Location } from '@boxship/model';
import type { Report } from './report.ts';

/** What stands at a path beside the Compose file. */
export type FolderEntry =
  | { readonly kind: 'file'; readonly bytes: Uint8Array; readonly executable: boolean }
  | { readonly kind: 'directory'; readonly names: readonly string[] }
  /** A device, a socket, or a link that leads out of the folder. */
  | { readonly kind: 'other'; readonly reason: string };

/** The folder of a Compose file; paths are relative to it and `/`-separated. */
export interface AppFolder {
  /** How many folders above this one belong to the product, and may be named with `../`; none when absent. */
  readonly levels?: number;
  /** `undefined` when nothing is there. */
  read(path: string): FolderEntry | undefined;
}

/** Bytes of one app's files together: they are held in memory, and belong into an image when they are many. */
const MAX_APP_BYTES = 32 * 1024 * 1024;

/**
 * A folder of this machine. Links are followed as long as they stay inside of `fence`, a folder above `root` or `root`
 * itself; names come sorted by their bytes.
 */
export function openAppFolder(root: string, fence: string = root): AppFolder {
  const way = relative(resolve(fence), resolve(root));
  const inside = way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
  const outermost = inside ? fence : root;
  return {
    levels: inside && way !== '' ? way.split(sep).length : 0,
    read(path) {
      let real: string;
      try {
        real = realpathSync(join(root, path));
      } catch {
        return undefined;
      }
      const top = realpathSync(outermost);
      if (real !== top && !real.startsWith(top.endsWith(sep) ? top : top + sep)) {
        return { kind: 'other', reason: 'is a link that leads out of the folder of the product' };
      }
      const info = statSync(real);
      if (info.isDirectory()) {
        const parent = realpathSync(dirname(join(root, path)));
        if (path !== '.' && (parent === real || parent.startsWith(real + sep))) {
          return { kind: 'other', reason: 'is a link to a directory that holds it' };
        }
        const names = readdirSync(real).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
        return { kind: 'directory', names };
      }
      if (!info.isFile()) return { kind: 'other', reason: 'is neither a file nor a directory' };
      if (info.size > MAX_APP_BYTES)
        return { kind: 'other', reason: `has ${info.size} bytes, too many for an app file` };
      return { kind: 'file', bytes: readFileSync(real), executable: (info.mode & 0o100) !== 0 };
    },
  };
}

/** The files that an app brings along, and where they are on the device. */
export interface AppFiles {
  /** Bytes of a file that is only read here (env files); reports what is wrong. */
  readHere(path: string, where: Location, what: string, required?: boolean): Uint8Array | undefined;
  /** Absolute path on the device of the file or directory at `path` beside the Compose file, which will be shipped. */
  ship(path: string, where: Location, what: string, mode?: number): string | undefined;
  /** Absolute path on the device of a file made here. */
  shipBytes(path: string, bytes: Uint8Array, mode: number, where: Location): string;
  /** Sorted by path. */
  list(): readonly AppFile[];
}

/** Relative to the folder of the Compose file, tidied; `undefined` when it leads out of what belongs to the product. */
export function tidyRelativePath(path: string, levels = 0): string | undefined {
  const tidy = posix.normalize(path).replace(/\/+$/, '');
  const up = tidy.split('/').filter((part) => part === '..').length;
  return tidy.startsWith('/') || up > levels ? undefined : tidy;
}

/** Where the file or folder at a tidied path lies below the app's folder: `files/…`, and `above-1/…` for `../…`. */
export function shippedPath(tidy: string): string {
  const parts = tidy === '.' ? [] : tidy.split('/');
  const up = parts.filter((part) => part === '..').length;
  return [up === 0 ? 'files' : `above-${up}`, ...parts.slice(up)].join('/');
}

/** Files of the app lie in `files/` of the app's folder on the device, in the shape they have beside the Compose file. */
export function collectAppFiles(folder: AppFolder, deviceFolder: string, report: Report): AppFiles {
  const files = new Map<string, AppFile>();
  let total = 0;

  const add = (path: string, bytes: Uint8Array, mode: number, where: Location) => {
    const known = files.get(path);
    if (known && known.mode !== mode) {
      report.error('MODE_CONFLICT', where, `${path} is wanted with two modes`, 'Use one mode, or a copy of the file.');
    }
    if (known) return;
    total += bytes.length;
    if (total > MAX_APP_BYTES) {
      report.error('APP_FILES_TOO_LARGE', where, `the app's files have more than ${MAX_APP_BYTES} bytes`, 'Put large files into an image.'); // prettier-ignore
    }
    files.set(path, { path, mode, bytes });
  };
  const look = (path: string, where: Location, what: string, required: boolean) => {
    const tidy = tidyRelativePath(path, folder.levels);
    if (tidy === undefined) {
      report.error('PATH_OUTSIDE', where, `the ${what} "${path}" is outside the folder of the product`, 'Move it beside the Compose file.'); // prettier-ignore
      return undefined;
    }
    const entry = folder.read(tidy);
    if (!entry && required) {
      report.error('FILE_MISSING', where, `the ${what} "${path}" does not exist beside the Compose file`, 'Create it, or correct the path.'); // prettier-ignore
    } else if (entry?.kind === 'other') {
      report.error('FILE_UNUSABLE', where, `the ${what} "${path}" ${entry.reason}`, 'Use a plain file beside the Compose file.'); // prettier-ignore
    }
    return entry && entry.kind !== 'other' ? { tidy, entry } : undefined;
  };
  const shipTree = (path: string, entry: FolderEntry, where: Location, what: string, mode?: number): number => {
    if (entry.kind === 'other') {
      report.error(
        'FILE_UNUSABLE',
        where,
        `in the ${what}, "${path}" ${entry.reason}`,
        'Remove it, or make it a file.',
      );
      return 1;
    }
    if (entry.kind === 'file') {
      // the umask of whoever checked out the app must not show
      add(shippedPath(path), entry.bytes, mode ?? (entry.executable ? 0o755 : 0o644), where);
      return 1;
    }
    let count = 0;
    for (const name of entry.names) {
      const below = path === '.' ? name : `${path}/${name}`;
      if (below.split('/').length > 64) {
        report.error('FILE_UNUSABLE', where, `"${below}" is too deep, or a link that contains itself`, 'Remove it.');
        return 1;
      }
      const child = folder.read(below);
      if (child) count += shipTree(below, child, where, what);
    }
    return count;
  };

  return {
    readHere(path, where, what, required = true) {
      const found = look(path, where, what, required);
      if (found?.entry.kind === 'directory') {
        report.error('FILE_UNUSABLE', where, `the ${what} "${path}" is a directory`, 'Name a file.');
      }
      return found?.entry.kind === 'file' ? found.entry.bytes : undefined;
    },
    ship(path, where, what, mode) {
      const found = look(path, where, what, true);
      if (!found) return undefined;
      if (shipTree(found.tidy, found.entry, where, what, mode) === 0) {
        report.error('FILE_UNUSABLE', where, `the ${what} "${path}" is an empty directory`, 'Put files into it, or use a named volume for data.'); // prettier-ignore
        return undefined;
      }
      return posix.join(deviceFolder, shippedPath(found.tidy));
    },
    shipBytes(path, bytes, mode, where) {
      add(path, bytes, mode, where);
      return posix.join(deviceFolder, path);
    },
    list: () => [...files.values()].sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path))),
  };
}
