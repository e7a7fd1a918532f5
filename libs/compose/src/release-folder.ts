import { lstat, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isLeftover, partialPath } from '@boxship/host';
import { UserError } from '@boxship/model';

/** The staging folder takes the place of what was there; a reader sees the old one, the new one or, for a moment, none. */
export async function putInPlace(staging: string, folder: string): Promise<void> {
  for (;;) {
    const old = partialPath(folder);
    await rename(folder, old).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    const inTheWay = await rename(staging, folder).then(
      () => false,
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
        return true; // another run put its own there in between: equal inputs, equal bytes
      },
    );
    await rm(old, { recursive: true, force: true });
    if (!inTheWay) return;
  }
}

/** A folder of artifacts is replaced whole; a file of its name is somebody's. */
export async function refuseFile(folder: string): Promise<void> {
  const info = await lstat(folder).catch(() => undefined);
  if (!info || info.isDirectory()) return;
  throw new UserError(
    'OUTPUT_TAKEN',
    `${folder} is not a folder, and the release would go there`,
    'Move that file away, or name another folder with --out.',
  );
}

/** What killed runs left beside any release below `out`, of other versions and variants too. */
export async function removeLeftovers(out: string): Promise<void> {
  for (const parent of await readdir(out, { withFileTypes: true }).catch(() => [])) {
    if (!parent.isDirectory()) continue;
    const folder = join(out, parent.name);
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      if (await isLeftover(path)) await rm(path, { recursive: true, force: true });
    }
  }
}

/** What killed runs left beside `folder` that was to become it. */
export async function removeLeftoversOf(folder: string): Promise<void> {
  const parent = dirname(folder);
  for (const name of await readdir(parent).catch((): string[] => [])) {
    const path = join(parent, name);
    if (!name.startsWith(`.${basename(folder)}.`) || !(await isLeftover(path))) continue;
    await rm(path, { recursive: true, force: true });
  }
}
