import { createHash } from 'node:crypto';
import { bytesSource, type ContentSource, type TreeEntry } from '@boxship/model';

/** Entries of files that Boxship makes: owned by root, with one time for all. */
function base(path: string, mode: number, epoch: number) {
  return { path, mode, uid: 0, gid: 0, mtime: epoch, mtimeNanoseconds: 0 };
}

export function directory(path: string, mode: number, epoch: number): TreeEntry {
  return { ...base(path, mode, epoch), type: 'directory', size: 0 };
}

export function symlink(path: string, link: string, epoch: number): TreeEntry {
  return { ...base(path, 0o777, epoch), type: 'symlink', size: 0, link };
}

/** A file whose bytes are at hand; text is UTF-8. */
export function generatedFile(path: string, content: string | Uint8Array, mode: number, epoch: number): TreeEntry {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  const id = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  return streamedFile(path, bytesSource(id, bytes), mode, epoch);
}

/** A file that holds a whole source. */
export function streamedFile(path: string, source: ContentSource, mode: number, epoch: number): TreeEntry {
  const entry = { ...base(path, mode, epoch), type: 'file', size: source.size } as const;
  return source.size === 0 ? entry : { ...entry, content: { source, offset: 0 } };
}
