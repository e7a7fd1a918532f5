import type { EngineFacts } from '@boxship/model';
import type { EngineDevice } from '../engine.ts';
import { namedImageStore } from '../image-store-name.ts';
import { IMAGES } from './socket.ts';

/**
 * Where podman finds its images: in its graph root, or in an additional image store, which it only reads
 * (containers-storage.conf(5), `graphroot` and `additionalimagestores`).
 */
export const IMAGE_STORES = ['graphroot', 'additional'] as const;
export type PodmanImageStore = (typeof IMAGE_STORES)[number];

/**
 * The store of a device: what the product file asks for, else what the base image was made for, else the graph root.
 * Errors: UNKNOWN_IMAGE_STORE.
 */
export function podmanImageStore({ facts, engine }: EngineDevice): PodmanImageStore {
  const named = namedImageStore(engine, IMAGE_STORES);
  return named ?? (namesOurStore(podmanFacts(facts)) ? 'additional' : 'graphroot');
}

/** Whether storage.conf of the base image has podman look for images where our additional store is mounted. */
export function namesOurStore(podman: EngineFacts | undefined): boolean {
  return (podman?.storageConfig?.additionalStores ?? []).includes(IMAGES);
}

export function podmanFacts({ engines }: EngineDevice['facts']): EngineFacts | undefined {
  return engines.find(({ name }) => name === 'podman');
}
