import type { Ext4Plan } from '@boxship/filesystem';
import {
  MiB,
  UserError,
  formatByteSize,
  type App,
  type ContainerImage,
  type Digest,
  type Variant,
} from '@boxship/model';
import type { AppBudget, Budget, LayerBudget } from './variant-plan.ts';

/** Where the bytes of a store go, from inventories alone. */
export function budgetOf(
  variant: Variant,
  images: readonly ContainerImage[],
  apps: ReadonlyMap<string, App>,
  plan: Pick<Ext4Plan, 'sizeBytes' | 'usedBytes' | 'overheadBytes' | 'freeBytes'>,
): Budget {
  const layers = layerBudgets(variant, images);
  return {
    size: plan.sizeBytes,
    contents: plan.usedBytes,
    overhead: plan.overheadBytes,
    free: plan.freeBytes,
    reserve: variant.store.reserve,
    layers,
    apps: variant.apps.map(({ name }) => ({ ...appBudget(name, layers), files: fileBytes(apps.get(name)) })),
  };
}

/** Each layer once, largest first. */
export function layerBudgets(variant: Variant, images: readonly ContainerImage[]): readonly LayerBudget[] {
  const found = new Map<Digest, { bytes: number; entries: number; images: Set<string>; apps: Set<string> }>();
  for (const { reference, layers } of images) {
    const apps = variant.apps.filter((app) => app.images.includes(reference)).map(({ name }) => name);
    for (const { diffId, inventory } of layers) {
      let layer = found.get(diffId);
      if (!layer) {
        layer = { bytes: inventory.fileBytes, entries: inventory.entryCount, images: new Set(), apps: new Set() };
        found.set(diffId, layer);
      }
      layer.images.add(reference);
      for (const app of apps) layer.apps.add(app);
    }
  }
  return [...found]
    .map(([diffId, layer]) => ({ ...layer, diffId, images: [...layer.images], apps: [...layer.apps] }))
    .sort((a, b) => b.bytes - a.bytes || (a.diffId < b.diffId ? -1 : 1));
}

/** Bytes of an app's Compose file and of the files that it brings along. */
function fileBytes(app: App | undefined): number {
  const files = [...(app?.files ?? []), ...(app?.native?.files ?? [])];
  return files.reduce((sum, { bytes }) => sum + bytes.length, app?.composeBytes.length ?? 0);
}

function appBudget(name: string, layers: readonly LayerBudget[]): Omit<AppBudget, 'files'> {
  const sum = (of: readonly LayerBudget[]) => of.reduce((total, { bytes }) => total + bytes, 0);
  const own = layers.filter(({ apps }) => apps.includes(name));
  return { name, bytes: sum(own), shared: sum(own.filter(({ apps }) => apps.length > 1)) };
}

/**
 * The store does not fit: says by how much, and what takes the most. `enough`: bytes of the smallest size above the one in
 * the product file that does; absent when that is `auto`.
 */
export function storeFull(
  error: UserError,
  variant: Variant,
  images: readonly ContainerImage[],
  enough?: number,
): UserError {
  const { size, reserve } = variant.store;
  const what =
    size === 'auto' || enough === undefined
      ? error.problems[0]!.message
      : `${formatByteSize(enough - size)} are missing: the files of the store${reserve > 0 ? ` and its reserve of ${Number((reserve * 100).toFixed(1))} %` : ''} need ${formatByteSize(enough)}, store.size is ${formatByteSize(size)}`;
  const largest = layerBudgets(variant, images).slice(0, 8);
  const rows = largest.map(
    ({ diffId, bytes, images: holders }) =>
      `\n  ${formatByteSize(bytes).padStart(11)}  ${diffId.slice(7, 19)}  ${holders.join(', ')}`,
  );
  return new UserError(
    error.code,
    `variant "${variant.name}" of "${variant.machine.name}": ${what}\nThe largest layers:${rows.join('')}`,
    enough === undefined
      ? 'Drop an app from this variant.'
      : `Write store: { size: ${enough / MiB}MiB } or auto in boxship.yaml, or drop an app from this variant.`,
  );
}
