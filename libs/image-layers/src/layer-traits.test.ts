import { describe, expect, it } from 'vitest';
import type { RecordedEntry } from './entry-record.ts';
import { createLayerTraits } from './layer-traits.ts';

/** Entries given as `path` or `path uid gid`. */
function traitsOf(...entries: readonly string[]) {
  const seen = new Set<string>();
  const traits = createLayerTraits((path) => seen.has(path));
  for (const text of entries) {
    const [path = '', uid = 0, gid = 0] = text.split(' ');
    const common = { mode: 0o644, mtime: 0, mtimeNanoseconds: 0, size: 0, type: 'file' } as const;
    const entry: RecordedEntry = { ...common, path, uid: Number(uid), gid: Number(gid) };
    traits.add(entry);
    seen.add(path);
  }
  return traits.finish();
}

describe('the traits of a layer', () => {
  it('list its owners', () => {
    expect(traitsOf()).toEqual({ uids: [], gids: [], hasRoot: false, hasWhiteouts: false, parentsFirst: true });
    expect(traitsOf('a 7 3', 'b 7 2', 'c 1 2', 'd 7 3')).toMatchObject({ uids: [1, 7], gids: [2, 3] });
    expect(traitsOf(...Array.from({ length: 1024 }, (_, id) => `a${id} ${id} 0`))?.uids).toHaveLength(1024);
    expect(traitsOf(...Array.from({ length: 1025 }, (_, id) => `a${id} 0 ${id}`))).toBeUndefined();
  });

  it.each([
    ['nothing of note', ['', 'a', 'a/b', 'c', 'a/d', 'a/b.wh.x'], { hasRoot: true, hasWhiteouts: false, parentsFirst: true }],
    ['no root', ['a', 'a/b'], { hasRoot: false, hasWhiteouts: false, parentsFirst: true }],
    ['a whiteout', ['a', 'a/.wh.b'], { hasRoot: false, hasWhiteouts: true, parentsFirst: true }],
    ['a whiteout at the top', ['.wh.b'], { hasRoot: false, hasWhiteouts: true, parentsFirst: true }],
    ['an opaque marker', ['a', 'a/.wh..wh..opq'], { hasRoot: false, hasWhiteouts: true, parentsFirst: true }],
    ['a missing parent', ['a', 'a/b/c'], { hasRoot: false, hasWhiteouts: false, parentsFirst: false }],
    ['a late parent', ['a/b', 'a', 'a/c'], { hasRoot: false, hasWhiteouts: false, parentsFirst: false }],
    ['a name that begins as another', ['a', 'ab', 'a/b', 'ab/c', 'abc/d'], { hasRoot: false, hasWhiteouts: false, parentsFirst: false }],
  ])('tell of %s', (_name, entries, expected) => {
    expect(traitsOf(...entries)).toMatchObject(expected);
  }); // prettier-ignore
});
