import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { programPath } from '@boxship/host';

/** For tests: whether all these programs are on the path. In CI a missing one is an error, not a skip. */
export function hasPrograms(...names: readonly string[]): boolean {
  const folders = programPath().split(':');
  const missing = names.filter((name) => !folders.some((folder) => existsSync(join(folder, name))));
  if (missing.length > 0 && process.env['CI'] === 'true') throw new Error(`not installed: ${missing.join(', ')}`);
  return missing.length === 0;
}
