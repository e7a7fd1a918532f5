import type { BytePath } from '@boxship/model';
import { isPackageFile, isUnreadDatabase, readPackages } from './read-packages.ts';
import type { InstalledSoftware } from './software-package.ts';

/** What one layer does to the files that `readPackages` wants. */
export interface LayerPackageFiles {
  /** Files by path; without bytes what is there and was not read. */
  readonly files: ReadonlyMap<BytePath, Uint8Array | undefined>;
  /** Paths of whiteouts and of opaque folders, as the layer has them: `a/.wh.b`, `a/.wh..wh..opq`. */
  readonly whiteouts: readonly BytePath[];
}

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

/** Whether an entry of a layer belongs into `LayerPackageFiles`. */
export function concernsPackages(path: BytePath): boolean {
  return isWhiteout(path) || isPackageFile(path) || isUnreadDatabase(path);
}

export function isWhiteout(path: BytePath): boolean {
  return path.startsWith(WHITEOUT, path.lastIndexOf('/') + 1);
}

/** The whiteout that hides what is at this path. */
export function whiteoutOf(path: BytePath): BytePath {
  const slash = path.lastIndexOf('/') + 1;
  return `${path.slice(0, slash)}${WHITEOUT}${path.slice(slash)}`;
}

/** The packages of a container image: its layers, bottom first, put together as image-spec's layer.md says ("Whiteouts"). */
export function mergePackages(layers: readonly LayerPackageFiles[]): InstalledSoftware {
  const merged = new Map<BytePath, Uint8Array | undefined>();
  for (const { files, whiteouts } of layers) {
    for (const path of whiteouts) {
      const slash = path.lastIndexOf('/') + 1;
      const folder = path.slice(0, slash);
      const name = path.slice(slash);
      const gone = name === OPAQUE ? folder : folder + name.slice(WHITEOUT.length);
      for (const file of merged.keys()) {
        const isBelow = name === OPAQUE ? file.startsWith(gone) : file === gone || file.startsWith(`${gone}/`);
        if (isBelow) merged.delete(file);
      }
    }
    for (const [path, bytes] of files) merged.set(path, bytes);
  }
  const wanted = new Map<BytePath, Uint8Array>();
  const unread: BytePath[] = [];
  for (const [path, bytes] of merged) {
    if (bytes) wanted.set(path, bytes);
    else unread.push(path);
  }
  return readPackages(wanted, unread);
}
