import { describe, expect, it } from 'vitest';
import { treeOfParts, type ImageLayer, type TreeEntry } from '@boxship/model';
import { overlayDiff, surveyLayer } from './overlay-diff.ts';

const EPOCH = 1_700_000_000;

/** `type:path[>link]` as an entry of a layer. */
function entry(text: string, rest: Partial<TreeEntry> = {}): TreeEntry {
  const [, kind, path = '', link] = /^(\w+):([^>]*)(?:>(.*))?$/s.exec(text)!;
  const types = { f: 'file', d: 'directory', l: 'symlink', h: 'hardlink', c: 'characterDevice' } as const;
  const mode = kind === 'd' ? 0o700 : 0o644;
  const common = { path, type: types[kind as 'f'], mode, uid: 7, gid: 8, mtime: 5, mtimeNanoseconds: 6, size: 0 };
  return { ...common, ...(link === undefined ? {} : { link }), ...rest };
}

function layerOf(entries: readonly TreeEntry[]): ImageLayer {
  const inventory = { entries: () => entries, entryCount: entries.length } as unknown as ImageLayer['inventory'];
  return { inventory } as ImageLayer;
}

const ROOT = entry('d:', { mode: 0o555 });

/** What is in the diff folder `x/diff`. */
function entriesOf(layer: ImageLayer): readonly TreeEntry[] {
  const [top, ...entries] = treeOfParts(() => [overlayDiff(layer, 'x/diff', ROOT, EPOCH)]).entries();
  expect(top).toEqual({ ...ROOT, path: 'x/diff' });
  return entries;
}

/** The diff folder in short: `type:path`, whiteouts as `w`, implied folders as `D`, opaque ones with `!`. */
function diffOf(...texts: (string | TreeEntry)[]): string[] {
  const layer = layerOf(texts.map((one) => (typeof one === 'string' ? entry(one) : one)));
  const found = entriesOf(layer).map((one) => {
    const isImplied = one.type === 'directory' && one.uid === 0;
    const isWhiteout = one.type === 'characterDevice' && one.major === 0 && one.minor === 0;
    const kind = isWhiteout ? 'w' : isImplied ? 'D' : one.type[0]!;
    const isOpaque = one.xattrs?.some(({ name, value }) => name === 'trusted.overlay.opaque' && String(value) === 'y');
    return `${kind}${isOpaque ? '!' : ''}:${one.path.replace(/^x\/diff\//, '')}${one.link ? `>${one.link}` : ''}`;
  });
  expect(entriesOf(layer)).toHaveLength(found.length); // it can be walked again
  return found;
}

describe('overlayDiff', () => {
  it('leaves the root out, and adds missing parents before what they hold', () => {
    expect(diffOf('d:', 'f:a/b/c', 'f:a/d', 'd:e', 'f:e/f')).toEqual(['D:a', 'D:a/b', 'f:a/b/c', 'f:a/d', 'd:e', 'f:e/f']);
    const [parent] = entriesOf(layerOf([entry('f:a/b')]));
    expect(parent).toMatchObject({ path: 'x/diff/a', mode: 0o755, uid: 0, gid: 0, mtime: EPOCH, mtimeNanoseconds: 0 });
  }); // prettier-ignore

  it('gives a folder that comes after its contents its own attributes, once', () => {
    expect(diffOf('f:a/b', 'd:a', 'f:a/c')).toEqual(['d:a', 'f:a/b', 'f:a/c']);
  });

  it('makes whiteouts devices 0:0 with the owner and time of the marker', () => {
    expect(diffOf('d:a', 'f:a/.wh.b', 'f:.wh.c')).toEqual(['d:a', 'w:a/b', 'w:c']);
    const [whiteout] = entriesOf(layerOf([entry('f:.wh.b')]));
    expect(whiteout).toMatchObject({
      path: 'x/diff/b',
      mode: 0,
      uid: 7,
      gid: 8,
      mtime: 5,
      size: 0,
      major: 0,
      minor: 0,
    });
  });

  it('lets a real entry beat a whiteout, in whatever order, also one that is only implied', () => {
    expect(diffOf('f:.wh.a', 'f:a')).toEqual(['f:a']);
    expect(diffOf('f:a', 'f:.wh.a')).toEqual(['f:a']);
    expect(diffOf('f:.wh.a', 'f:a/b')).toEqual(['D:a', 'f:a/b']);
    expect(diffOf('d:a', 'f:.wh.a')).toEqual(['d:a']);
  });

  it('marks opaque folders, whether the marker comes first, last, or for a folder that is only implied', () => {
    expect(diffOf('d:a', 'f:a/b', 'f:a/.wh..wh..opq')).toEqual(['d!:a', 'f:a/b']);
    expect(diffOf('f:a/.wh..wh..opq', 'f:a/b')).toEqual(['D!:a', 'f:a/b']);
    expect(diffOf('f:a/.wh..wh..opq', 'd:a')).toEqual(['d!:a']);
    expect(diffOf('f:.wh..wh..opq', 'f:a')).toEqual(['f:a']); // of the root: docker's layers have no such mark
  });

  it('keeps attributes beside the mark, and leaves the layer as it was', () => {
    const xattrs = [{ name: 'user.a', value: Buffer.from('1') }];
    const folder = entry('d:a', { xattrs });
    const layer = layerOf([folder, entry('f:a/.wh..wh..opq')]);
    const [diff] = entriesOf(layer);
    expect(diff!.xattrs!.map(({ name }) => name)).toEqual(['user.a', 'trusted.overlay.opaque']);
    expect(folder.xattrs).toBe(xattrs);
  });

  it('keeps symlinks as they are and moves hard links along', () => {
    expect(diffOf('l:a>/etc/../b', 'f:b', 'h:c>b')).toEqual(['s:a>/etc/../b', 'f:b', 'h:c>x/diff/b']);
  });

  it('is one tree for equal layers, attributes and times, wherever it is', () => {
    const layer = layerOf([entry('f:a')]);
    const { branch } = overlayDiff(layer, 'x/diff', ROOT, EPOCH);
    expect(overlayDiff(layer, 'y', { ...ROOT, path: 'y' }, EPOCH).branch).toBe(branch);
    expect(overlayDiff(layer, 'x/diff', ROOT, EPOCH + 1).branch).not.toBe(branch);
    const xattrs = [{ name: 'user.a', value: Buffer.from('1') }];
    const marked = overlayDiff(layer, 'x/diff', { ...ROOT, xattrs }, EPOCH).branch;
    expect(marked).not.toBe(branch);
    const other = [{ name: 'user.a', value: Buffer.from('2') }];
    expect(overlayDiff(layer, 'x/diff', { ...ROOT, xattrs: other }, EPOCH).branch).not.toBe(marked);
    expect(overlayDiff(layerOf([entry('f:a')]), 'x/diff', ROOT, EPOCH).branch).not.toBe(branch);
  });

  it('is read once where the traits of the layer say that there is nothing to look for', () => {
    const readsOf = (hasWhiteouts: boolean, parentsFirst: boolean) => {
      const entries = ['d:', 'd:a', 'f:a/b', 'd:c'].map((text) => entry(text));
      let reads = 0;
      const traits = { uids: [7], gids: [8], hasRoot: true, hasWhiteouts, parentsFirst };
      const layer = layerOf(entries);
      const inventory: ImageLayer['inventory'] = {
        ...layer.inventory,
        traits,
        *entries() {
          for (const one of entries) {
            reads++;
            yield one;
          }
        },
      };
      const [, ...paths] = [...overlayDiff({ ...layer, inventory }, 'x', ROOT, EPOCH).branch.entries()];
      expect(paths.map(({ path }) => path)).toEqual(['a', 'a/b', 'c']);
      expect(surveyLayer({ ...layer, inventory })).toEqual(surveyLayer(layer)); // as without traits
      return reads;
    };
    expect(readsOf(false, true)).toBe(4 + 1); // the root's entry is the first
    expect(readsOf(true, true)).toBe(4 + 4);
    expect(readsOf(false, false)).toBe(4 + 4);
  });

  it.each(['.wh.', '.wh..', '.wh...', 'a/.wh.', 'a/.wh...'])(
    'refuses the whiteout "%s", which hides no file',
    (path) => {
      expect(() => diffOf(`f:${path}`)).toThrow(expect.objectContaining({ code: 'BAD_WHITEOUT' }) as Error);
    },
  );
});
