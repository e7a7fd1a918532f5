import { chmod, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compareLayer, formatChanges, writeLayer, type LayerFile } from './index.ts';

let out: string;
beforeEach(async () => void (out = await mkdtemp(join(tmpdir(), 'boxship-layer-'))));
afterEach(() => rm(out, { recursive: true, force: true }));

const files = (texts: Readonly<Record<string, string>>): LayerFile[] =>
  Object.entries(texts).map(([path, text]) => ({ path, text }));

const first = files({ 'README.md': 'one\n', 'conf/layer.conf': 'A = "1"\n', 'recipes/x/x_1.bb': 'x\n' });
const folder = () => join(out, 'meta-acme');
const compare = (list: readonly LayerFile[]) => compareLayer('meta-acme', folder(), 'wrynose', list);
const write = async (list: readonly LayerFile[], overwrite = false) => writeLayer(await compare(list), { overwrite });

/** Every file of the layer with its text. */
async function onDisk(): Promise<Record<string, string>> {
  const entries = await readdir(folder(), { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const texts = await Promise.all(paths.sort().map(async (path) => [path.slice(folder().length + 1), await readFile(path, 'utf8')] as const));
  return Object.fromEntries(texts);
} // prettier-ignore

describe('writing a layer', () => {
  it('is whole at once, and changes nothing the second time', async () => {
    await write(first);
    const written = await onDisk();
    expect(Object.keys(written)).toEqual(['README.md', 'boxship-layer.json', 'conf/layer.conf', 'recipes/x/x_1.bb']);
    const again = await compare(first);
    expect([again.changes, again.isManifestStale]).toEqual([[], false]);
    await write(first);
    expect(await onDisk()).toEqual(written);
    expect(await readdir(out)).toEqual(['meta-acme']);
  });

  it('keeps files that a person added, renews its own, removes what is made no more', async () => {
    await write(first);
    await mkdir(join(folder(), 'recipes/mine'));
    await writeFile(join(folder(), 'recipes/mine/mine.bb'), 'mine\n');
    await writeFile(join(folder(), 'recipes/x/note.txt'), 'note\n');
    await write(files({ 'README.md': 'two\n', 'conf/layer.conf': 'A = "1"\n', 'recipes/y/y_2.bb': 'y\n' }));
    const { 'boxship-layer.json': _manifest, ...rest } = await onDisk();
    expect(rest).toEqual({
      'README.md': 'two\n', 'conf/layer.conf': 'A = "1"\n', 'recipes/mine/mine.bb': 'mine\n', 'recipes/x/note.txt': 'note\n', 'recipes/y/y_2.bb': 'y\n',
    });
    await rm(join(folder(), 'recipes/x/note.txt'));
    await write(first);
    await write(files({ 'README.md': 'two\n' }));
    expect(Object.keys(await onDisk())).toEqual(['README.md', 'boxship-layer.json', 'recipes/mine/mine.bb']);
    expect(await readdir(join(folder(), 'recipes'))).toEqual(['mine']); // folders of ours are gone
  }); // prettier-ignore

  it('keeps files that a person changed, tells them every time, and overwrites them when told to', async () => {
    await write(first);
    await writeFile(join(folder(), 'README.md'), 'by hand\n');
    const second = files({ 'README.md': 'two\n', 'conf/layer.conf': 'A = "2"\n' });
    for (const _run of [1, 2]) {
      expect((await compare(second)).changes.find(({ path }) => path === 'README.md')?.action).toBe('edited');
      await write(second);
      expect((await onDisk())['README.md']).toBe('by hand\n');
    }
    expect((await onDisk())['conf/layer.conf']).toBe('A = "2"\n');
    await write(second, true);
    expect((await onDisk())['README.md']).toBe('two\n');
    expect((await compare(second)).changes).toEqual([]);
  });

  it('keeps an edited file that is made no more', async () => {
    await write(first);
    await writeFile(join(folder(), 'recipes/x/x_1.bb'), 'by hand\n');
    await write(files({ 'README.md': 'one\n' }));
    expect((await onDisk())['recipes/x/x_1.bb']).toBe('by hand\n');
  });

  it('finishes what a run before left half-done', async () => {
    await write(first);
    const second = files({ 'README.md': 'two\n', 'conf/layer.conf': 'A = "2"\n' });
    await writeFile(join(folder(), 'README.md'), 'two\n'); // as if it had been cut short here, the list not written
    expect((await compare(second)).changes.map(({ path, action }) => `${action} ${path}`)).toEqual([
      'update conf/layer.conf', 'remove recipes/x/x_1.bb',
    ]);
    await write(second);
    expect((await compare(second)).changes).toEqual([]);
  }); // prettier-ignore

  it('leaves nothing where it cannot write', async () => {
    await mkdir(join(out, 'locked'));
    await chmod(join(out, 'locked'), 0o555);
    const changes = await compareLayer('meta-acme', join(out, 'locked/meta-acme'), 'wrynose', first);
    if (process.getuid?.() !== 0) {
      await expect(writeLayer(changes, { overwrite: false })).rejects.toThrow(/EACCES/);
    }
    expect(await readdir(join(out, 'locked'))).toEqual([]);
    await writeFile(join(out, 'file'), '');
    await expect(
      writeLayer({ ...changes, folder: join(out, 'file/meta-acme') }, { overwrite: false }),
    ).rejects.toThrow();
    expect((await readdir(out)).sort()).toEqual(['file', 'locked']);
  });

  it('refuses a folder that somebody else filled, and says what it holds', async () => {
    await mkdir(folder());
    await expect(compare(first)).resolves.toMatchObject({ isNew: false }); // empty: fine
    await writeFile(join(folder(), 'theirs.txt'), '');
    await expect(compare(first)).rejects.toMatchObject({ code: 'FOREIGN_FOLDER', message: expect.stringMatching(/theirs\.txt/) });
    expect(await readdir(folder())).toEqual(['theirs.txt']);
  }); // prettier-ignore

  it('does not follow links out of the layer', async () => {
    await write(first);
    await writeFile(join(out, 'outside'), 'theirs\n');
    await rm(join(folder(), 'README.md'));
    await symlink(join(out, 'outside'), join(folder(), 'README.md'));
    await expect(compare(first)).rejects.toMatchObject({ code: 'FOREIGN_FOLDER' });
    expect(await readFile(join(out, 'outside'), 'utf8')).toBe('theirs\n');
  });

  it.each(['not json', '{}', '{"layerVersion":1,"files":{"../outside":"' + 'a'.repeat(64) + '"}}'])(
    'refuses the list of files %s',
    async (text) => {
      await write(first);
      await writeFile(join(folder(), 'boxship-layer.json'), text);
      await expect(compare(first)).rejects.toMatchObject({ code: 'BAD_LAYER_MANIFEST' });
    },
  );

  it('shows the changes as diff -u does', async () => {
    await write(first);
    const diff = formatChanges(await compare(files({ 'README.md': 'two\n', 'conf/layer.conf': 'A = "1"\n', new: 'n\n' })));
    expect(diff.replaceAll(/\t$/gm, '')).toBe(
      '--- a/meta-acme/README.md\n+++ b/meta-acme/README.md\n@@ -1,1 +1,1 @@\n-one\n+two\n' +
        '--- /dev/null\n+++ b/meta-acme/new\n@@ -0,0 +1,1 @@\n+n\n' +
        '--- a/meta-acme/recipes/x/x_1.bb\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-x\n',
    );
  }); // prettier-ignore
});
