import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder of our own that is gone after `work`, whatever happens. `parent` defaults to the system's folder for such. */
export async function withScratch<T>(work: (folder: string) => Promise<T>, parent: string = tmpdir()): Promise<T> {
  const folder = await mkdtemp(join(parent, 'boxship-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
