import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { runProgram } from '@boxship/host';
import type { Digest, LayerInventory, TreeEntry } from '@boxship/model';
import { it } from 'vitest';
import type { LayerBlob } from './blob-reader.ts';

/** For tests: `it` when the programs are there or must be (CI), a visible skip otherwise. */
export async function itNeeds(...programs: readonly string[]): Promise<typeof it | typeof it.skip> {
  for (const program of programs) {
    const there = await runProgram(program, ['--version'], { accept: [0, 1, 2, 3] }).then(
      () => true,
      () => false,
    );
    if (!there && process.env['CI'] !== 'true') return it.skip;
  }
  return it;
}

export const digestOf = (bytes: Uint8Array): Digest => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const TAR = 'application/vnd.oci.image.layer.v1.tar';
const SUFFIX = { none: '', gzip: '+gzip', zstd: '+zstd' };

/** Puts `blob`, the compressed form of `tar`, into a file of `folder`. */
export async function putBlob(
  folder: string,
  tar: Uint8Array,
  blob: Uint8Array = gzipSync(tar),
  compression: 'none' | 'gzip' | 'zstd' = 'gzip',
): Promise<LayerBlob> {
  const digest = digestOf(blob);
  const blobPath = join(folder, digest.slice(7));
  await writeFile(blobPath, blob);
  return { blobPath, blob: { mediaType: TAR + SUFFIX[compression], digest, size: blob.length }, diffId: digestOf(tar) };
}

/** A tar made by python's tarfile from lines that add to it; `f(name, **attributes)` adds an entry. */
export async function pythonTar(folder: string, name: string, script: string): Promise<string> {
  const path = join(folder, name);
  const prelude = `
import tarfile, io, sys
t = tarfile.open(sys.argv[1], 'w', format=tarfile.PAX_FORMAT)
def f(name, data=b'', kind='f', link='', **attributes):
    m = tarfile.TarInfo(name); m.size = len(data); m.mtime = 1700000000; m.linkname = link
    m.type = dict(f=tarfile.REGTYPE, d=tarfile.DIRTYPE, l=tarfile.LNKTYPE, s=tarfile.SYMTYPE, c=tarfile.CHRTYPE, b=tarfile.BLKTYPE, p=tarfile.FIFOTYPE)[kind]
    for key, value in attributes.items(): setattr(m, key, value)
    t.addfile(m, io.BytesIO(data))
`;
  await runProgram('python3', ['-c', `${prelude}\n${script}\nt.close()\n`, path]);
  return path;
}

export function entriesOf(inventory: LayerInventory): TreeEntry[] {
  return [...inventory.entries()];
}

export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const copies: Buffer[] = [];
  for await (const chunk of chunks) copies.push(Buffer.from(chunk));
  return Buffer.concat(copies);
}
