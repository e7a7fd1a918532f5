import { readFile, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, relative, sep } from 'node:path';
import { writeFileAtomically } from './atomic-file.ts';
import { makeFolder } from './make-folder.ts';
import { isLeftover, partialPath } from './partial-file.ts';

/**
 * Files kept by content on the build host: `<root>/<kind>/<2 hex>/<key>`. A key is a digest's hex or another safe name
 * that determines the bytes. Files appear by rename, so that runs at the same time, and killed ones, do no harm.
 */
export interface Cache {
  readonly root: string;
  /** Where an item lies, or would lie. */
  path(kind: string, key: string): string;
  has(kind: string, key: string): Promise<boolean>;
  /** Path of the item; made by `make`, which writes the file (or folder) at the path it is given, when it is not there. */
  get(kind: string, key: string, make: (path: string) => Promise<void>): Promise<string>;
  remove(kind: string, key: string): Promise<void>;
  /** What `remember` kept under this key; undefined when there is nothing of use. */
  recall(kind: string, key: string): Promise<unknown>;
  /** Keeps a JSON value that only saves time. What cannot be kept (a read-only cache, a full disk) is no error. */
  remember(kind: string, key: string, value: unknown): Promise<void>;
  /**
   * Removes what killed runs left. Gives the number of files and folders; what may not be removed stays. What was left of
   * the `resumable` kinds is kept for a day, because a run may take it up again.
   */
  sweep(resumable?: readonly string[]): Promise<number>;
}

/** `$BOXSHIP_CACHE`, else `$XDG_CACHE_HOME/boxship`, else `~/.cache/boxship`. */
export function defaultCacheRoot(env: NodeJS.ProcessEnv = process.env): string {
  if (env['BOXSHIP_CACHE']) return env['BOXSHIP_CACHE'];
  return join(env['XDG_CACHE_HOME'] || join(env['HOME'] || homedir(), '.cache'), 'boxship');
}

export function openCache(root: string = defaultCacheRoot()): Cache {
  const making = new Map<string, Promise<string>>();
  const path = (kind: string, key: string) => {
    if (!/^[a-z0-9][a-z0-9-]*$/.test(kind) || !/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(key)) {
      throw new Error(`not a cache name: ${kind}/${key}`);
    }
    return join(root, kind, key.slice(0, 2), key);
  };
  const exists = (file: string) =>
    stat(file).then(
      () => true,
      () => false,
    );
  const make = async (file: string, write: (path: string) => Promise<void>): Promise<string> => {
    if (await exists(file)) {
      const now = new Date();
      await utimes(file, now, now).catch(() => {}); // marks use; a read-only cache is fine
      return file;
    }
    await makeFolder(dirname(file));
    const aside = partialPath(file);
    try {
      await write(aside);
      await rename(aside, file).catch(async (error: NodeJS.ErrnoException) => {
        // another run was faster with a folder of the same name
        if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
      });
    } finally {
      await rm(aside, { recursive: true, force: true });
    }
    return file;
  };
  return {
    root,
    path,
    has: (kind, key) => exists(path(kind, key)),
    get(kind, key, write) {
      const file = path(kind, key);
      let promise = making.get(file);
      if (!promise) {
        promise = make(file, write).finally(() => making.delete(file));
        making.set(file, promise);
      }
      return promise;
    },
    remove: (kind, key) => rm(path(kind, key), { recursive: true, force: true }),
    async recall(kind, key) {
      const text = await readFile(path(kind, key), 'utf8').catch(() => undefined);
      try {
        return text === undefined ? undefined : (JSON.parse(text) as unknown);
      } catch {
        return undefined; // damaged: as if it were not there
      }
    },
    remember: (kind, key, value) => writeFileAtomically(path(kind, key), JSON.stringify(value)).catch(() => {}),
    async sweep(resumable = []) {
      let removed = 0;
      for await (const file of partialFiles(root)) {
        if (!(await isLeftover(file))) continue;
        if (resumable.includes(relative(root, file).split(sep)[0]!) && !(await isOld(file))) continue;
        await rm(file, { recursive: true, force: true }).then(
          () => (removed += 1),
          () => {},
        );
      }
      return removed;
    },
  };
}

async function isOld(path: string): Promise<boolean> {
  const info = await stat(path).catch(() => undefined);
  return info !== undefined && Date.now() - info.mtimeMs > 24 * 3600 * 1000;
}

/** Files lie three folders deep; what is inside of a folder that is an item is not looked at. */
async function* partialFiles(root: string, depth = 3): AsyncIterable<string> {
  for (const entry of await readdir(root, { withFileTypes: true }).catch(() => [])) {
    const path = join(root, entry.name);
    if (entry.name.endsWith('.partial')) yield path;
    else if (depth > 1 && entry.isDirectory()) yield* partialFiles(path, depth - 1);
  }
}
