import type { Edit } from '@boxship/filesystem';
import type { Tree, TreeEntry } from '@boxship/model';

/** The files that edits bring, where they lie in this rootfs, labels included; folders on the way as well. */
export function editedEntries(edits: readonly Edit[]): readonly TreeEntry[] {
  return edits
    .filter(({ action }) => action !== 'keep')
    .map(({ entry, path, label }): TreeEntry => {
      const labels = label ? [{ name: 'security.selinux', value: Buffer.from(`${label}\0`) }] : [];
      const xattrs = [...(entry.xattrs ?? []), ...labels];
      return { ...entry, path, ...(xattrs.length > 0 ? { xattrs } : {}) };
    });
}

/**
 * A rootfs with what an edit brings: in the place of what is there, the rest at the end, parents first. A file that is
 * replaced takes none of its hard links with it: they stay what they were.
 */
export function withEdits(rootfs: Tree, edited: readonly TreeEntry[]): Tree {
  const pending = new Map(edited.map((entry) => [entry.path, entry]));
  const heirs = new Map<string, string>(); // first path of a hard-linked file that is replaced, and the one that is now first
  const entries: TreeEntry[] = [];
  const firsts = new Map<string, TreeEntry>();
  for (const entry of rootfs.entries()) {
    const replaced = pending.get(entry.path);
    if (entry.type === 'file') firsts.set(entry.path, entry);
    if (replaced) {
      pending.delete(entry.path);
      entries.push(replaced);
      if (entry.type === 'file') heirs.set(entry.path, '');
      continue;
    }
    const heir = entry.type === 'hardlink' ? heirs.get(entry.link!) : undefined;
    if (heir === undefined) entries.push(entry);
    else if (heir === '') {
      heirs.set(entry.link!, entry.path);
      entries.push({ ...firsts.get(entry.link!)!, path: entry.path });
    } else entries.push({ ...entry, link: heir });
  }
  entries.push(...pending.values());
  return { entries: () => entries };
}
