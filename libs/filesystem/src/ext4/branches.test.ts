import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withScratch } from '@boxship/host';
import { treeOfParts, type SharedTree, type Tree, type TreeEntry, type TreePart } from '@boxship/model';
import { describe, expect, it } from 'vitest';
import { BranchTables, planExt4 } from './index.ts';
import { OPTIONS, checkImage, toolsMissing, writeImage } from './testing/image.ts';
import { choppedSource, directory, file, noise, other, sampleTree, treeOf } from './testing/sample-tree.ts';

/** Counts how often it is read. */
type Walked = SharedTree & { walks: number };

/** A branch of these entries, whose directory has `mode`. */
function branchOf(entries: readonly TreeEntry[], mode = 0o755): Walked {
  return {
    walks: 0,
    entryCount: entries.length,
    *entries() {
      this.walks++;
      yield directory('', { mode, uid: 9 });
      yield* entries;
    },
  };
}

const sample = branchOf([...sampleTree().entries()].filter(({ path }) => path !== ''));
const three = choppedSource('three', noise(20_000, 4));
const big = branchOf([
  directory('many'),
  ...Array.from({ length: 3000 }, (_, index) => file(`many/${'name'.repeat(index % 20)}-${index}`, three, index, index % 9)), // prettier-ignore
  other('symlink', 'far', { link: 'x'.repeat(70) }),
  other('hardlink', 'near', { link: 'many/-0' }),
]);
const empty = branchOf([], 0o700);

const first = treeOfParts(() => [
  directory('', { mode: 0o711 }),
  directory('store'),
  file('store/a', three, 0, 9000),
  other('symlink', 'store/long', { link: 'y'.repeat(65) }),
  { path: 'store/big', branch: big },
  other('hardlink', 'store/b', { link: 'store/a' }),
  directory('store/behind'),
  { path: 'store/behind/sample', branch: sample },
  { path: 'store/empty', branch: empty },
  ...sparseParts('store/sparse'),
  { path: 'top', branch: branchOf([]) },
  other('symlink', 'end', { link: 'z'.repeat(80) }),
]);
/** The same branches in another order, so that none of their numbers stays what it was. */
const second = treeOfParts(() => [
  { path: 'sample', branch: sample },
  directory('in', { xattrs: [{ name: 'user.big', value: noise(900, 3) }] }),
  ...sparseParts('in/sparse'),
  { path: 'in/sample-again', branch: sample },
  { path: 'in/big', branch: big },
]);

function sparseParts(path: string): readonly TreePart[] {
  const segments = [
    { position: 5000, offset: 1, length: 100 },
    { position: 50_000, offset: 500, length: 9000 },
  ];
  return [{ ...file(path), size: 60_000, content: { source: three, segments } }];
}

const missing = toolsMissing('e2fsck');

describe('branches of a tree', () => {
  it.skipIf(missing !== undefined)('make the file system that their entries make, byte for byte', async () => {
    await withScratch(async (scratch) => {
      const branches = new BranchTables();
      for (const [index, tree] of [first, second, first].entries()) {
        const [joined, flat] = [join(scratch, `joined-${index}`), join(scratch, `flat-${index}`)];
        const plan = await writeImage(tree, joined, { branches });
        const flatPlan = await writeImage({ entries: () => tree.entries() }, flat);
        await checkImage(joined);
        expect((await readFile(joined)).equals(await readFile(flat))).toBe(true);
        expect(plan.sources().map(({ id }) => id)).toEqual(flatPlan.sources().map(({ id }) => id));
        expect({ ...plan.mapped }).toEqual({ ...flatPlan.mapped });
      }
    });
  });

  it('are read once, however many trees hold them', () => {
    const branch = branchOf([file('a'), directory('b')]);
    const branches = new BranchTables();
    for (const path of ['one', 'two', 'three']) {
      planExt4(
        treeOfParts(() => [{ path, branch }, directory('more'), { path: 'more/again', branch }]),
        { ...OPTIONS, branches },
      );
    }
    expect(branch.walks).toBe(1);
    planExt4(
      treeOfParts(() => [{ path: 'one', branch }]),
      OPTIONS,
    );
    expect(branch.walks).toBe(2);
  });

  it('are forgotten beyond a limit, the one that was used longest ago first, or when they were not used', async () => {
    const [a, b, c] = ['a', 'b', 'c'].map((name) => branchOf([file(name), file(`${name}2`)])) as [
      Walked,
      Walked,
      Walked,
    ];
    const branches = new BranchTables(4);
    const plan = (...trees: readonly Walked[]) =>
      planExt4(
        treeOfParts(() => trees.map((branch, index) => ({ path: `${index}`, branch }))),
        { ...OPTIONS, branches },
      );
    plan(a, b);
    plan(a);
    plan(c); // b goes
    plan(a, c);
    expect([a.walks, b.walks, c.walks]).toEqual([1, 1, 1]);
    plan(b); // a goes
    plan(c, a);
    expect([a.walks, b.walks, c.walks]).toEqual([2, 2, 1]);
    await branches.keepWhatIsUsedBy(async () => void plan(c)); // a goes
    plan(c, a);
    expect([a.walks, b.walks, c.walks]).toEqual([3, 2, 1]);
  });

  const badTrees: readonly (readonly [name: string, tree: Tree, message: RegExp])[] = [
    ['a name twice', treeOfParts(() => [directory('a'), { path: 'a', branch: empty }]), /"\/a": comes twice/],
    ['a parent that is missing', treeOfParts(() => [{ path: 'b/a', branch: empty }]), /comes before its directory/],
    ['a bad entry', treeOfParts(() => [{ path: 'a', branch: branchOf([file('b/c')]) }]), /comes before its directory/],
    [
      'a hard link out of it',
      treeOfParts(() => [file('x'), { path: 'a', branch: branchOf([other('hardlink', 'b', { link: 'x' })]) }]),
      /hard link to "\/x", which does not come before it/,
    ],
    [
      'a hard link into it',
      treeOfParts(() => [{ path: 'a', branch: branchOf([file('x')]) }, other('hardlink', 'b', { link: 'a/x' })]),
      /which does not come before it/,
    ],
    [
      'a root that is a file',
      treeOfParts(() => [{ path: 'a', branch: { entryCount: 1, entries: () => [file('')] } }]),
      /is a file, must be a directory/,
    ],
  ];
  it.each(badTrees)('are refused: %s', (_name, tree, message) => {
    expect(() => planExt4(tree, OPTIONS)).toThrow(expect.objectContaining({ code: 'BAD_TREE', message: expect.stringMatching(message) as string }) as Error); // prettier-ignore
  });

  it('take nothing else in', () => {
    const tree = treeOfParts(() => [{ path: 'a', branch: branchOf([file('x')]) }, file('a/y')]);
    expect(() => planExt4(tree, OPTIONS)).toThrow(/another table/);
    expect(() => planExt4(treeOf(directory('a'), file('a/y')), OPTIONS)).not.toThrow();
  });
});
