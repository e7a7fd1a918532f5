import type { Digest } from '@boxship/model';
import { digestIn, isRecord, readConfiguration, readDocument, sortImages, type ListedImage, type StoreReader } from '../store-reader.ts'; // prettier-ignore
import { DATA_ROOT } from './socket.ts';

/**
 * Docker's own image store below its data root: `image/<driver>/repositories.json` names the images whose configurations lie in
 * `imagedb` (moby image/store.go, reference/store.go). Docker with containerd's image store keeps them in containerd's root.
 */
export const dockerStoreReader: StoreReader = {
  name: 'docker',
  places: [DATA_ROOT],
  async read(files, folder) {
    const images: ListedImage[] = [];
    let found = false;
    for (const { name: driver } of await files.readDirectory(`${folder}/image`)) {
      const root = `${folder}/image/${driver}`;
      const repositories = await readDocument(files, `${root}/repositories.json`);
      const configurations = `${root}/imagedb/content/sha256`;
      const stored = await files.readDirectory(configurations);
      if (repositories === undefined && stored.length === 0) continue;
      found = true;
      const named = namesById(repositories);
      for (const { name: hex } of stored) {
        const id = digestIn(`sha256:${hex}`);
        if (!id) continue;
        const { names, manifests } = named.get(id) ?? { names: [], manifests: [] };
        images.push({
          names: names.sort(),
          id,
          ...(manifests[0] === undefined ? {} : { manifest: manifests.sort()[0]! }),
          ...(await readConfiguration(files, `${configurations}/${hex}`)),
        });
      }
    }
    return found ? sortImages(images) : undefined;
  },
};

interface Named {
  readonly names: string[];
  readonly manifests: Digest[];
}

/** `{ Repositories: { name: { "name:tag": id, "name@digest": id } } }`, by the id. */
function namesById(document: unknown): ReadonlyMap<Digest, Named> {
  const found = new Map<Digest, Named>();
  const repositories = isRecord(document) ? document['Repositories'] : undefined;
  if (!isRecord(repositories)) return found;
  for (const entries of Object.values(repositories)) {
    if (!isRecord(entries)) continue;
    for (const [name, value] of Object.entries(entries)) {
      const id = digestIn(value);
      if (!id) continue;
      const named = found.get(id) ?? { names: [], manifests: [] };
      found.set(id, named);
      const manifest = digestIn(name.slice(name.lastIndexOf('@') + 1));
      if (name.includes('@') && manifest) named.manifests.push(manifest);
      else named.names.push(name);
    }
  }
  return found;
}
