import { isAbsolute, relative } from 'node:path';

/** A path for people: one below the working folder is shown from there. */
export function shownPath(path: string): string {
  if (!isAbsolute(path)) return path;
  const short = relative(process.cwd(), path);
  return short === '' || short.startsWith('..') ? path : short;
}
