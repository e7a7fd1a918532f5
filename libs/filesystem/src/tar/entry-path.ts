import type { BytePath } from '@boxship/model';

/**
 * A name of an archive as a path below the root: leading `/`, `.` parts and double slashes are cleaned away as docker's
 * unpacking does (Go filepath.Clean), `a/../b` is `b`. `undefined` when a `..` would leave the root.
 */
export function cleanEntryPath(name: string): BytePath | undefined {
  if (isClean(name)) return name;
  const parts: string[] = [];
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join('/');
}

const SLASH = 0x2f;
const DOT = 0x2e;

/** No part that is empty, `.` or `..`: nearly every name, told without making anything. */
function isClean(name: string): boolean {
  const length = name.length;
  let start = 0;
  for (let i = 0; i <= length; i++) {
    if (i < length && name.charCodeAt(i) !== SLASH) continue;
    const part = i - start;
    if (part === 0) return false;
    if (part <= 2 && name.charCodeAt(start) === DOT && (part === 1 || name.charCodeAt(start + 1) === DOT)) return false;
    start = i + 1;
  }
  return true;
}
