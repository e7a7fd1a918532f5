import {
  UserError,
  type BytePath,
  type ImageLayer,
  type LayerInventory,
  type TreeEntry,
  type Xattr,
} from '@boxship/model';

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** overlayfs: a directory with it hides what lies below (kernel Documentation/filesystems/overlayfs.rst). */
const OPAQUE_XATTR: Xattr = { name: 'trusted.overlay.opaque', value: Buffer.from('y') };

/**
 * The entries of one image layer as overlayfs wants them in its `diff` directory, below `prefix`: whiteouts become
 * character devices 0:0, opaque markers an xattr of their directory, missing parents are added as docker adds them
 * (0755, root). A real entry beats a whiteout of the same name in the same layer, for a whiteout speaks of lower layers
 * alone (OCI image-spec layer.md "Whiteouts"). `prefix` itself is the caller's.
 */
export function* overlayDiff(layer: ImageLayer, prefix: BytePath, epoch: number): Iterable<TreeEntry> {
  const facts = surveyLayer(layer);
  const known = new Set<BytePath>(['']);
  const place = (path: BytePath) => `${prefix}/${path}`;

  for (const entry of layer.inventory.entries()) {
    if (entry.path === '') continue; // the root's attributes are the caller's: engines differ
    const { parent, name } = splitPath(entry.path);
    if (!known.has(parent)) yield* missingParents(parent, known, facts, place, epoch);
    if (name === OPAQUE) continue;
    if (name.startsWith(WHITEOUT)) {
      const hidden = joinPath(parent, hiddenName(entry.path, name));
      if (facts.beatenWhiteouts.has(hidden)) continue;
      yield whiteout(place(hidden), entry);
      continue;
    }
    if (entry.type === 'directory') {
      if (known.has(entry.path)) continue; // given late: its attributes were used when its first child came
      known.add(entry.path);
    }
    yield placed(entry, place, facts.opaque.has(entry.path));
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

/** What must be known of a layer before its first entry can be written; one walk, remembered. */
export function surveyLayer(layer: ImageLayer): LayerSurvey {
  let survey = surveys.get(layer.inventory);
  if (!survey) {
    survey = walk(layer.inventory);
    surveys.set(layer.inventory, survey);
  }
  return survey;
}

function walk(inventory: LayerInventory): LayerSurvey {
  const opaque = new Set<BytePath>();
  const whiteouts = new Set<BytePath>();
  const lateDirectories = new Map<BytePath, TreeEntry>();
  const known = new Set<BytePath>(['']);
  const [uids, gids] = [new Set<number>(), new Set<number>()];
  let root: TreeEntry | undefined;
  for (const entry of inventory.entries()) {
    uids.add(entry.uid);
    gids.add(entry.gid);
    if (entry.path === '') root = entry;
    const { parent, name } = splitPath(entry.path);
    for (let path = parent; !known.has(path); path = splitPath(path).parent) known.add(path);
    if (name === OPAQUE) opaque.add(parent);
    else if (name.startsWith(WHITEOUT)) whiteouts.add(joinPath(parent, name.slice(WHITEOUT.length)));
    else if (entry.type === 'directory') {
      if (known.has(entry.path) && entry.path !== '') lateDirectories.set(entry.path, entry);
      known.add(entry.path);
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

function* missingParents(
  path: BytePath,
  known: Set<BytePath>,
  facts: LayerSurvey,
  place: (path: BytePath) => BytePath,
  epoch: number,
): Iterable<TreeEntry> {
  const missing: BytePath[] = [];
  for (let at = path; !known.has(at); at = splitPath(at).parent) missing.push(at);
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
    yield placed(entry, place, facts.opaque.has(at));
  }
}

function placed(entry: TreeEntry, place: (path: BytePath) => BytePath, opaque: boolean): TreeEntry {
  const path = place(entry.path);
  if (entry.type === 'hardlink') {
    if (entry.link === undefined) throw new UserError('BAD_LAYER', `hard link "${entry.path}" has no target`);
    return { ...entry, path, link: place(entry.link) };
  }
  return opaque ? { ...entry, path, xattrs: [...(entry.xattrs ?? []), OPAQUE_XATTR] } : { ...entry, path };
}

function whiteout(path: BytePath, { uid, gid, mtime, mtimeNanoseconds }: TreeEntry): TreeEntry {
  return { path, type: 'characterDevice', mode: 0, uid, gid, mtime, mtimeNanoseconds, size: 0, major: 0, minor: 0 };
}

function splitPath(path: BytePath): { parent: BytePath; name: string } {
  const at = path.lastIndexOf('/');
  return at < 0 ? { parent: '', name: path } : { parent: path.slice(0, at), name: path.slice(at + 1) };
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
