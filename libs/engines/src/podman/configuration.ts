import type { EngineDevice, EngineFile, PreloadOptions } from '../engine.ts';
import { generatedFile } from '../entries.ts';
import { namesOurStore, podmanFacts, podmanImageStore } from './image-store.ts';
import { IMAGES } from './socket.ts';
import { DEFAULT_FILE, withAdditionalStore } from './storage-conf.ts';

/**
 * The vendor's storage.conf, the one that podman reads, with our additional image store; nothing when images lie in the graph
 * root, or when the base image was made for such a store.
 */
export function podmanConfiguration(device: EngineDevice, { epoch }: PreloadOptions): readonly EngineFile[] {
  const podman = podmanFacts(device.facts);
  if (podmanImageStore(device) === 'graphroot' || namesOurStore(podman)) return [];
  const { file = DEFAULT_FILE, text: said } = podman?.storageConfig ?? {};
  const text = withAdditionalStore(said, IMAGES);
  if (text === undefined) return []; // `check` has refused it
  const entry = generatedFile(file.slice(1), text, 0o644, epoch);
  return [{ entry, why: 'tells podman to read the images of the store' }];
}
