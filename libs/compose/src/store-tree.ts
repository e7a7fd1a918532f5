import { directory, engines, type Engine, type Preload } from '@boxship/engines';
import {
  UserError,
  partsOf,
  treeOfParts,
  type App,
  type DeviceFacts,
  type Tree,
  type TreeEntry,
  type Variant,
} from '@boxship/model';
import { storeManifest, type SignDigest } from './store-manifest.ts';

export interface AppToStart {
  readonly app: App;
  /** Copy what its containers print to the device's console. */
  readonly console: boolean;
}

/**
 * Everything on the store partition: the engine's images, the apps, and what proves them. `sign` is called when the bytes
 * of the signature are read, not before.
 */
export async function storeTree(
  variant: Variant,
  engine: Engine,
  preload: Preload,
  apps: readonly AppToStart[],
  facts: DeviceFacts,
  sign: SignDigest,
): Promise<Tree> {
  const { epoch } = variant;
  const appEntries = new Map<string, TreeEntry>(); // each tree begins with the folder `apps`
  for (const { app, console } of apps) {
    refuseLanguage(app, engine);
    const { start, namespace } = variant.engine;
    const options = { epoch, console, ...(start ? { start } : {}), ...(namespace ? { namespace } : {}) };
    for (const entry of engine.start(app, preload.imageIds, facts, options).entries()) {
      appEntries.set(entry.path, entry);
    }
  }
  const decisive: Tree = {
    *entries() {
      yield* appEntries.values();
      yield* preload.verified.entries();
    },
  };
  const manifest = await storeManifest(variant, decisive, sign);
  return treeOfParts(function* () {
    yield directory('', 0o755, epoch);
    yield* manifest;
    yield* appEntries.values();
    yield* preload.state.entries();
    yield* partsOf(preload.layers);
  });
}

/** Errors: NOT_FOR_ENGINE, at the line of the product file. */
function refuseLanguage({ name, native }: App, engine: Engine): void {
  if (!native || engine.languages?.includes(native.language)) return;
  const readers = Object.values<Engine>(engines).filter(({ languages }) => languages?.includes(native.language));
  throw new UserError(
    'NOT_FOR_ENGINE',
    `the app "${name}" is written in ${native.language === 'quadlet' ? 'Quadlet files' : 'Kubernetes YAML'}, which ${engine.name} does not read`,
    `Write a Compose file, or take ${readers.map((one) => one.name).join(' or ')} as the engine.`,
    native.where,
  );
}
