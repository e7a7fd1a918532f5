import { openFileReader } from '@boxship/host';
import { mender } from './mender.ts';
import { rauc } from './rauc.ts';
import { swupdate } from './swupdate.ts';
import type { UpdateContent, UpdateReader } from './update-reader.ts';

const updateReaders: readonly UpdateReader[] = [rauc, swupdate, mender];

/** What the updater's file at `path` holds, and of which kind it is; undefined when it is none. Errors: BAD_UPDATE. */
export async function readUpdate(
  path: string,
): Promise<{ readonly format: string; readonly content: UpdateContent } | undefined> {
  await using file = await openFileReader(path);
  for (const reader of updateReaders) {
    const content = await reader.read(file, path);
    if (content) return { format: reader.name, content };
  }
  return undefined;
}
