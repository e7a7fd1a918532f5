import type { ContainerImage, TreeEntry } from '@boxship/model';
import { mobyNamespace } from '../containerd-store/namespaces.ts';
import { containerdStore } from '../containerd-store/store.ts';
import type { Preload, PreloadOptions } from '../engine.ts';
import { directory } from '../entries.ts';
import { CONTAINERD_FOLDER } from './socket.ts';

/**
 * What docker 26 to 29 needs with its images in containerd's store: that store, in the namespace `moby`, and a data root for
 * its containers, with places for the mounts inside of it. An image's id is the digest of its manifest or index here.
 */
export function dockerContainerdStore(images: readonly ContainerImage[], { epoch }: PreloadOptions): Preload {
  const store = containerdStore(images, { root: CONTAINERD_FOLDER, namespace: mobyNamespace, epoch });
  return {
    ...store,
    state: {
      *entries(): Iterable<TreeEntry> {
        yield* store.state.entries();
        yield directory('docker', 0o710, epoch);
        yield directory('docker/containerd', 0o711, epoch);
        yield directory('docker/containerd/daemon', 0o711, epoch);
        yield directory('docker/volumes', 0o701, epoch);
      },
    },
  };
}
