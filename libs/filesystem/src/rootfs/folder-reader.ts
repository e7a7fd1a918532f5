import { UserError, type BytePath } from '@boxship/model';
import { MAX_LINKS, MAX_PARTS, type RootfsReader } from './rootfs-reader.ts';

/**
 * A folder of a root file system as if it were one itself, as a system sees it that was started from there: absolute symlinks
 * begin at the folder, and nothing leads out of it. Errors: those of `files`; TOO_MANY_LINKS for a circle.
 */
export function rootfsBelow(files: RootfsReader, folder: BytePath): RootfsReader {
  const at = (path: BytePath) => (path === '' ? folder : `${folder}/${path}`);
  const resolve = async (path: BytePath, follow: boolean): Promise<BytePath | undefined> => {
    const rest = path.split('/').reverse();
    const done: string[] = [];
    for (let links = 0; rest.length > 0;) {
      const part = rest.pop()!;
      if (part === '' || part === '.') continue;
      if (part === '..') {
        done.pop();
        continue;
      }
      const next = [...done, part].join('/');
      const found = await files.lstat(at(next));
      if (!found) return undefined;
      if (found.type !== 'symlink' || (!follow && rest.every((one) => one === ''))) {
        done.push(part);
        continue;
      }
      if (++links > MAX_LINKS || rest.length > MAX_PARTS) {
        throw new UserError('TOO_MANY_LINKS', `the symlinks of ${at(path)} lead in a circle`);
      }
      const target = await files.readLink(at(next));
      if (target.startsWith('/')) done.length = 0;
      rest.push(...target.split('/').reverse());
    }
    return done.join('/');
  };
  /** Of what the path leads to; of nothing, what is asked is the path itself, so that the error names it. */
  const real = async (path: BytePath) => at((await resolve(path, true)) ?? path);
  return {
    async stat(path) {
      const found = await resolve(path, true);
      return found === undefined ? undefined : await files.lstat(at(found));
    },
    async lstat(path) {
      const found = await resolve(path, false);
      return found === undefined ? undefined : await files.lstat(at(found));
    },
    exists: async (path) => (await resolve(path, true)) !== undefined,
    realPath: (path) => resolve(path, true),
    readFile: async (path, limit) => await files.readFile(await real(path), limit),
    readRange: async (path, position, length) => await files.readRange(await real(path), position, length),
    readText: async (path, limit) => {
      const found = await resolve(path, true);
      return found === undefined ? undefined : await files.readText(at(found), limit);
    },
    readLink: async (path) => await files.readLink(at((await resolve(path, false)) ?? path)),
    readDirectory: async (path) => {
      const found = await resolve(path, true);
      return found === undefined ? [] : await files.readDirectory(at(found));
    },
    xattrs: async (path, follow = true) => await files.xattrs(at((await resolve(path, follow)) ?? path), follow),
  };
}
