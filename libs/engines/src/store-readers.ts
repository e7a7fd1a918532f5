import { containerdStoreReader } from './containerd-store/read-store.ts';
import { dockerStoreReader } from './docker/read-store.ts';
import { podmanStoreReader } from './podman/read-store.ts';
import type { StoreReader } from './store-reader.ts';

/** Every kind of image store that can be read without its engine. */
export const storeReaders: readonly StoreReader[] = [dockerStoreReader, podmanStoreReader, containerdStoreReader];
