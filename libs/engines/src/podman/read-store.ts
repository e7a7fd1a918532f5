import { digestIn, isRecord, readConfiguration, readDocument, sortImages, type ListedImage, type StoreReader } from '../store-reader.ts'; // prettier-ignore
import { GRAPH_ROOT, IMAGES } from './socket.ts';
import { bigDataFile } from './store.ts';

/**
 * containers-storage, which podman, buildah, skopeo and CRI-O share: `<driver>-images/images.json` and the documents beside it
 * (containers/storage images.go), also of a read-only additional image store.
 */
export const podmanStoreReader: StoreReader = {
  name: 'podman',
  places: [GRAPH_ROOT, IMAGES, '/usr/lib/containers/storage'],
  async read(files, folder) {
    const images: ListedImage[] = [];
    let found = false;
    for (const { name: entry } of await files.readDirectory(folder)) {
      if (!entry.endsWith('-images')) continue;
      const list = await readDocument(files, `${folder}/${entry}/images.json`);
      if (!Array.isArray(list)) continue;
      found = true;
      for (const image of list as unknown[]) {
        if (!isRecord(image) || typeof image['id'] !== 'string') continue;
        const id = digestIn(`sha256:${image['id']}`);
        const manifest = digestIn(image['digest']);
        const names = Array.isArray(image['names']) ? image['names'].filter((name) => typeof name === 'string') : [];
        images.push({
          names: names.sort(),
          ...(id ? { id } : {}),
          ...(manifest ? { manifest } : {}),
          ...(id ? await readConfiguration(files, `${folder}/${entry}/${image['id']}/${bigDataFile(id)}`) : {}),
        });
      }
    }
    return found ? sortImages(images) : undefined;
  },
};
