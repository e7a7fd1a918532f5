import { storeReaders } from '@boxship/engines';
import type { RootfsReader } from '@boxship/filesystem';
import type { BytePath, Problem } from '@boxship/model';
import type { InspectedEngineStore } from './inspection.ts';
import { attempt } from './problems.ts';

/** Where an OSTree system has its /var: one folder for each system that was ever deployed. */
const OSTREE_DEPLOY = 'ostree/deploy';

/** Stores of container engines where a device has them. */
export async function findEngineStores(files: RootfsReader): Promise<readonly InspectedEngineStore[]> {
  const roots = [''];
  for (const { name } of await files.readDirectory(OSTREE_DEPLOY)) roots.push(`${OSTREE_DEPLOY}/${name}`);
  const folders = roots.flatMap((root) =>
    storeReaders.flatMap(({ places }) => places.map((place) => `${root}${place}`.replace(/^\//, ''))),
  );
  return await readEngineStores(files, folders);
}

/** Stores of container engines among the folders of a store partition, whatever their names. */
export async function findStoresInPartition(files: RootfsReader): Promise<readonly InspectedEngineStore[]> {
  const folders = (await files.readDirectory('')).filter(({ type }) => type === 'directory').map(({ name }) => name);
  return await readEngineStores(files, folders);
}

async function readEngineStores(
  files: RootfsReader,
  folders: readonly BytePath[],
): Promise<readonly InspectedEngineStore[]> {
  const found: InspectedEngineStore[] = [];
  for (const folder of new Set(folders)) {
    for (const reader of storeReaders) {
      const problems: Problem[] = [];
      const images = await attempt(problems, () => reader.read(files, folder));
      if (images === undefined && problems.length === 0) continue;
      found.push({ engine: reader.name, folder: `/${folder}`, images: images ?? [], problems });
    }
  }
  return found;
}
