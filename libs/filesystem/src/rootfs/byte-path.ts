import type { BytePath } from '@boxship/model';

/** The path of what holds it; `''` for the root. */
export function dirname(path: BytePath): BytePath {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
}

/** The last part of a path. */
export function basename(path: BytePath): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** A name below a path; the root is `''`. */
export function joinPath(parent: BytePath, name: string): BytePath {
  return parent === '' ? name : `${parent}/${name}`;
}
