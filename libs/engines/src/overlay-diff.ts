import {
  UserError,
  liesIn,
  type BytePath,
  type ImageLayer,
  type LayerInventory,
  type SharedTree,
  type TreeBranch,
  type TreeEntry,
  type Xattr,
} from '@boxship/model';

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** overlayfs: a directory with it hides what lies below (kernel Documentation/filesystems/overlayfs.rst). */
const OPAQUE_XATTR: Xattr = { name: 'trusted.overlay.opaque', value: Buffer.from('y') };

const branches = new WeakMap<LayerInventory, Map<string, SharedTree>>();
const layersOfBranches = new WeakMap<SharedTree, ImageLayer>();

/** The image layer that a branch of a preload is: for errors. */
export function layerOf({ branch }: TreeBranch): ImageLayer | undefined {
  return layersOfBranches.get(branch);
}

/**
 * One image layer as overlayfs wants it, in its `diff` directory at `path`: whiteouts become character devices 0:0, opaque markers an
 * xattr of their directory, missing parents are added as docker adds them (0755, root). A real entry beats a whiteout of the same
 * name in the same layer, for a whiteout speaks of lower layers alone (OCI image-spec layer.md "Whiteouts"). `root`: attributes of
 * the directory itself, where engines differ. Equal layers, attributes and times are the same tree in whatever store.
 */
export function overlayDiff(layer: ImageLayer, path: BytePath, root: TreeEntry, epoch: number): TreeBranch {
  const known = branches.get(layer.inventory) ?? new Map<string, SharedTree>();
  branches.set(layer.inventory, known);
  const top = { ...root, path: '' };
  const key = JSON.stringify([epoch, top, top.xattrs?.map(({ value }) => Buffer.from(value).toString('hex'))]);
  const branch = known.get(key) ?? {
    entryCount: layer.inventory.entryCount,
    entries: () => diffEntries(layer, top, epoch),
  };
  known.set(key, branch);
  layersOfBranches.set(branch, layer);
  return { path, branch };
}

function* diffEntries(layer: ImageLayer, top: TreeEntry, epoch: number): Iterable<TreeEntry> {
  const facts = surveyLayer(layer);
  const known = new Set<BytePath>(['']);
  /** A directory that is known: most entries lie in that of the one before. */
  let folder = '';
  yield top;
  for (const entry of layer.inventory.entries()) {
    const { path } = entry;
    if (path === '') continue; // the root's attributes are the caller's
    const slash = path.lastIndexOf('/');
    if (!liesIn(folder, path, slash)) {
      folder = slash < 0 ? '' : path.slice(0, slash);
      if (!known.has(folder)) yield* missingParents(folder, known, facts, epoch);
    }
    if (path.startsWith(WHITEOUT, slash + 1)) {
      if (isOpaque(path, slash)) continue;
      const hidden = joinPath(folder, hiddenName(path, path.slice(slash + 1)));
      if (!facts.beatenWhiteouts.has(hidden)) yield whiteout(hidden, entry);
      continue;
    }
    if (entry.type === 'directory') {
      if (known.has(path)) continue; // given late: its attributes were used when its first child came
      known.add(path);
    }
    yield placed(entry, facts.opaque.size > 0 && facts.opaque.has(path));
  }
}

/** What is known of a layer as a whole after one walk over its entries. */
export interface LayerSurvey {
  /** Users and groups that own something in it, ascending. */
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  /** The entry of the layer's root directory, when its tar has one. */
  readonly root?: TreeEntry;
  readonly opaque: ReadonlySet<BytePath>;
  /** Directories whose own entry comes after something that they hold. */
  readonly lateDirectories: ReadonlyMap<BytePath, TreeEntry>;
  readonly beatenWhiteouts: ReadonlySet<BytePath>;
}

const surveys = new WeakMap<LayerInventory, LayerSurvey>();

/** What must be known of a layer before its first entry can be written; one walk at most, remembered. */
export function surveyLayer(layer: ImageLayer): LayerSurvey {
  let survey = surveys.get(layer.inventory);
  if (!survey) {
    survey = surveyByTraits(layer.inventory) ?? walk(layer.inventory);
    surveys.set(layer.inventory, survey);
  }
  return survey;
}

/** Without a walk, where a layer has nothing that asks for one. */
function surveyByTraits(inventory: LayerInventory): LayerSurvey | undefined {
  const { traits } = inventory;
  if (!traits || traits.hasWhiteouts || !traits.parentsFirst) return undefined;
  const root = traits.hasRoot ? firstOf(inventory.entries(), ({ path }) => path === '') : undefined;
  return {
    uids: traits.uids,
    gids: traits.gids,
    ...(root ? { root } : {}),
    ...{ opaque: new Set(), lateDirectories: new Map(), beatenWhiteouts: new Set() },
  };
}

function firstOf<T>(items: Iterable<T>, isWanted: (item: T) => boolean): T | undefined {
  for (const item of items) if (isWanted(item)) return item;
  return undefined;
}

function walk(inventory: LayerInventory): LayerSurvey {
  const opaque = new Set<BytePath>();
  const whiteouts = new Set<BytePath>();
  const lateDirectories = new Map<BytePath, TreeEntry>();
  const known = new Set<BytePath>(['']);
  const [uids, gids] = [new Set<number>(), new Set<number>()];
  let root: TreeEntry | undefined;
  let folder = '';
  for (const entry of inventory.entries()) {
    const { path } = entry;
    uids.add(entry.uid);
    gids.add(entry.gid);
    if (path === '') root = entry;
    const slash = path.lastIndexOf('/');
    if (!liesIn(folder, path, slash)) {
      folder = slash < 0 ? '' : path.slice(0, slash);
      for (let above = folder; !known.has(above); above = parentOf(above)) known.add(above);
    }
    if (path.startsWith(WHITEOUT, slash + 1)) {
      if (isOpaque(path, slash)) opaque.add(folder);
      else whiteouts.add(joinPath(folder, path.slice(slash + 1 + WHITEOUT.length)));
    } else if (entry.type === 'directory') {
      if (known.has(path) && path !== '') lateDirectories.set(path, entry);
      known.add(path);
    }
  }
  const beatenWhiteouts = new Set<BytePath>();
  if (whiteouts.size > 0) {
    for (const { path } of inventory.entries()) if (whiteouts.has(path)) beatenWhiteouts.add(path);
    for (const path of whiteouts) if (known.has(path)) beatenWhiteouts.add(path); // an implied directory
  }
  return {
    uids: [...uids].sort((a, b) => a - b),
    gids: [...gids].sort((a, b) => a - b),
    ...(root ? { root } : {}),
    opaque,
    lateDirectories,
    beatenWhiteouts,
  };
}

function* missingParents(path: BytePath, known: Set<BytePath>, facts: LayerSurvey, epoch: number): Iterable<TreeEntry> {
  const missing: BytePath[] = [];
  for (let at = path; !known.has(at); at = parentOf(at)) missing.push(at);
  for (const at of missing.reverse()) {
    known.add(at);
    const given = facts.lateDirectories.get(at);
    const entry: TreeEntry = given ?? {
      path: at,
      type: 'directory',
      mode: 0o755,
      uid: 0,
      gid: 0,
      mtime: epoch,
      mtimeNanoseconds: 0,
      size: 0,
    };
    yield placed(entry, facts.opaque.has(at));
  }
}

function placed(entry: TreeEntry, opaque: boolean): TreeEntry {
  if (entry.type === 'hardlink' && entry.link === undefined) {
    throw new UserError('BAD_LAYER', `hard link "${entry.path}" has no target`);
  }
  return opaque ? { ...entry, xattrs: [...(entry.xattrs ?? []), OPAQUE_XATTR] } : entry;
}

function whiteout(path: BytePath, { uid, gid, mtime, mtimeNanoseconds }: TreeEntry): TreeEntry {
  return { path, type: 'characterDevice', mode: 0, uid, gid, mtime, mtimeNanoseconds, size: 0, major: 0, minor: 0 };
}

/** True for an opaque marker, of a path whose last part begins as that of a whiteout. */
function isOpaque(path: BytePath, slash: number): boolean {
  return path.length === slash + 1 + OPAQUE.length && path.endsWith(OPAQUE);
}

function parentOf(path: BytePath): BytePath {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}

/** What a whiteout hides. Nothing, the directory itself or its parent are no names of a file. */
function hiddenName(path: BytePath, name: string): string {
  const hidden = name.slice(WHITEOUT.length);
  if (!['', '.', '..'].includes(hidden)) return hidden;
  throw new UserError(
    'BAD_WHITEOUT',
    `"${Buffer.from(path, 'latin1').toString()}" is a whiteout that hides no file`,
    'The image is damaged or was made to do harm: build it again.',
  );
}

function joinPath(parent: BytePath, name: string): BytePath {
  return parent === '' ? name : `${parent}/${name}`;
}
