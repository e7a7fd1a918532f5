import { liesIn, type LayerTraits } from '@boxship/model';
import type { RecordedEntry } from './entry-record.ts';

/** Owners that are kept; a layer has a handful. */
const MOST_OWNERS = 1024;

/** OCI image-spec layer.md "Whiteouts" */
const WHITEOUT = '.wh.';

/** Looks at the entries of a layer in their order; `hasEntry`: whether an entry of that path came before. */
export function createLayerTraits(hasEntry: (path: string) => boolean) {
  const [uids, gids] = [new Set<number>(), new Set<number>()];
  let [hasRoot, hasWhiteouts, parentsFirst] = [false, false, true];
  /** Of the entry before: most entries lie where it does. */
  let [folder, uid, gid] = ['', -1, -1];
  return {
    add(entry: RecordedEntry): void {
      const { path } = entry;
      if (entry.uid !== uid) uids.add((uid = entry.uid));
      if (entry.gid !== gid) gids.add((gid = entry.gid));
      if (path === '') hasRoot = true;
      const slash = path.lastIndexOf('/');
      if (path.startsWith(WHITEOUT, slash + 1)) hasWhiteouts = true;
      if (liesIn(folder, path, slash)) return;
      folder = path.slice(0, Math.max(slash, 0));
      if (parentsFirst && folder !== '') parentsFirst = hasEntry(folder);
    },
    /** Undefined for a layer that has too many owners to list them. */
    finish(): LayerTraits | undefined {
      if (uids.size > MOST_OWNERS || gids.size > MOST_OWNERS) return undefined;
      return { uids: ascending(uids), gids: ascending(gids), hasRoot, hasWhiteouts, parentsFirst };
    },
  };
}

function ascending(numbers: ReadonlySet<number>): readonly number[] {
  return [...numbers].sort((a, b) => a - b);
}
