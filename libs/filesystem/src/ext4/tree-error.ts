import { UserError, type BytePath } from '@boxship/model';

/** A path as a person reads it: its bytes as UTF-8 where they are, quoted. */
export function showPath(path: BytePath): string {
  return JSON.stringify(`/${Buffer.from(path, 'latin1').toString('utf8')}`);
}

/** An entry that no tree may hold: the code that made the tree, or the layer it came from, is wrong. */
export function badTree(path: BytePath, message: string, hint?: string): UserError {
  return new UserError('BAD_TREE', `${showPath(path)}: ${message}`, hint);
}
