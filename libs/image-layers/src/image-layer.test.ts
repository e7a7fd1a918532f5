import { appendFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { openCache, runProgram, type Cache } from '@boxship/host';
import { UserError } from '@boxship/model';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LayerBlob } from './blob-reader.ts';
import { openImageLayer } from './image-layer.ts';
import { syntheticLayer } from './synthetic-layer.ts';
import { INVENTORY_KIND, RECORDS_FILE, takeInventory, TAR_SPLIT_FILE } from './take-inventory.ts';
import { collect, digestOf, entriesOf, itNeeds, putBlob, pythonTar } from './test-layers.ts';

let folder = '';
let cache: Cache;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-layers-'));
});
beforeEach(async () => {
  cache = openCache(await mkdtemp(join(folder, 'cache-')));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const withPython = await itNeeds('python3');

let count = 0;
const layerOf = async (script: string) =>
  putBlob(folder, await readFile(await pythonTar(folder, `${++count}.tar`, script)));
const open = async (script: string) => openImageLayer(await layerOf(script), cache);

async function refusal(work: Promise<unknown>): Promise<UserError> {
  const error: unknown = await work.then(
    () => new Error('it went well'),
    (reason: unknown) => reason,
  );
  if (error instanceof UserError) return error;
  throw error;
}

/** Everything that a run left in the cache. */
const leftovers = async () =>
  (await readdir(cache.root, { recursive: true })).filter((name) => name.split('/').length > 2);

describe('an inventory', () => {
  withPython('has the entries as python lists them', async () => {
    const script = `
f('./', kind='d', mode=0o755); f('usr/', kind='d', mode=0o1777, uid=1, gid=2); f('usr/a', b'hello', mode=0o4755, uid=3000000, gid=70000)
f('usr/sym', kind='s', link='/nowhere/at/../all'); f('usr/null', kind='c', devmajor=1, devminor=300); f('usr/disk', kind='b', devmajor=8, devminor=1)
f('usr/fifo', kind='p'); f('missing/parent/file', b'x'); f('.wh.gone'); f('usr/.wh..wh..opq'); f('/abs', b'abs'); f('usr/empty')
f('usr/noted', b'n', pax_headers={'SCHILY.xattr.user.note': 'value', 'SCHILY.xattr.user.a': '', 'mtime': '-1.5'})
f('usr/\\u00fcmlaut', b'u'); f('usr/hard', kind='l', link='./usr/a'); f('usr/harder', kind='l', link='usr/hard'); f('zero-hard', kind='l', link='usr/empty')
`;
    const layer = await layerOf(script);
    const { inventory, content } = await openImageLayer(layer, cache);
    const entries = entriesOf(inventory);
    const list = `
import tarfile, sys, json
raw = lambda s: s.encode().decode('latin1')
for m in tarfile.open(sys.argv[1], 'r:gz'):
    print(json.dumps([raw(m.name.strip('./')) if not '.wh' in m.name else m.name, m.mode, m.uid, m.gid, m.size if m.isreg() else 0, m.devmajor if m.isdev() and not m.isfifo() else None, m.devminor if m.isdev() and not m.isfifo() else None]))
`;
    const { stdout } = await runProgram('python3', ['-c', list, layer.blobPath]);
    const oracle = stdout.toString().trim().split('\n').map((line) => JSON.parse(line) as unknown[]); // prettier-ignore
    expect(entries.map((e) => [e.path, e.mode, e.uid, e.gid, e.size, e.major ?? null, e.minor ?? null])).toEqual(
      oracle,
    );
    const at = (path: string) => entries.find((entry) => entry.path === path)!;
    expect(at('usr/sym').link).toBe('/nowhere/at/../all');
    expect(at('usr/harder')).toMatchObject({ type: 'hardlink', link: 'usr/a' });
    expect(at('zero-hard').link).toBe('usr/empty');
    expect(at('usr/noted')).toMatchObject({
      mtime: -2,
      mtimeNanoseconds: 500000000,
      xattrs: [{ name: 'user.a' }, { name: 'user.note' }],
    });
    expect(Buffer.from(at('usr/noted').xattrs![1]!.value).toString()).toBe('value');
    expect(at('usr/empty').content).toBeUndefined();
    const tar = await collect(content.open());
    const place = at('abs').content as { offset: number };
    expect(tar.toString('latin1', place.offset, place.offset + at('abs').size)).toBe('abs');
    expect(inventory).toMatchObject({
      entryCount: entries.length,
      fileBytes: 5 + 1 + 3 + 1 + 1,
      deviceCount: 2,
      hasDuplicates: false,
      tarSize: tar.length,
    });
    expect(entriesOf(inventory)).toEqual(entries); // walked again
    const ascending = (column: number) =>
      [...new Set(oracle.map((one) => one[column] as number))].sort((a, b) => a - b);
    expect(inventory.traits).toMatchObject({ uids: ascending(2), gids: ascending(3) });
  });

  withPython('of duplicates keeps the last one at its own place, and hard links keep their bytes', async () => {
    const { inventory, content } = await open(`
f('d/', kind='d', mode=0o700); f('a', b'first'); f('b', kind='l', link='a'); f('c', kind='l', link='b'); f('x', b'x')
f('./a', b'second!'); f('e', kind='l', link='a'); f('d', kind='d', mode=0o755); f('x', kind='s', link='a')
`);
    const tar = await collect(content.open());
    const text = (path: string) => {
      const entry = entriesOf(inventory).find((each) => each.path === path)!;
      const { offset } = entry.content as { offset: number };
      return tar.toString('latin1', offset, offset + entry.size);
    };
    expect(entriesOf(inventory).map(({ path, type, link }) => [path, type, link])).toEqual([
      ['b', 'file', undefined], ['c', 'hardlink', 'b'], ['a', 'file', undefined], ['e', 'hardlink', 'a'], ['d', 'directory', undefined], ['x', 'symlink', 'a'],
    ]); // prettier-ignore
    expect([text('a'), text('b')]).toEqual(['second!', 'first']);
    expect(inventory).toMatchObject({ hasDuplicates: true, entryCount: 6, fileBytes: 12 });
    expect(inventory.traits).toBeUndefined(); // its places are others than those of the tar
  });

  withPython('of two global headers of one name tells duplicates, as tar-split refuses them', async () => {
    const { inventory } = await open(`
t.fileobj.write(t.create_pax_global_header({'comment': 'x'}) if hasattr(t, 'create_pax_global_header') else tarfile.TarInfo.create_pax_global_header({'comment': 'x'}))
f('a')
t.fileobj.write(tarfile.TarInfo.create_pax_global_header({'comment': 'y'}))
`);
    expect(inventory).toMatchObject({ hasDuplicates: true, entryCount: 1 });
  });

  for (const [fear, script, code] of [
    ['a hard link to nowhere', `f('a'); f('dir/l', kind='l', link='b')`, 'HARDLINK_TARGET_MISSING'],
    ['a hard link to what comes later', `f('l', kind='l', link='b'); f('b')`, 'HARDLINK_TARGET_MISSING'],
    ['a hard link to itself', `f('l', kind='l', link='l')`, 'HARDLINK_TARGET_MISSING'],
    ['a hard link to a directory', `f('d', kind='d'); f('l', kind='l', link='d')`, 'HARDLINK_TO_DIRECTORY'],
    ['a hard link out of the root', `f('l', kind='l', link='../../etc/passwd')`, 'TAR_UNSAFE_PATH'],
    ['a name that leaves the root', `f('a/../../etc/passwd', b'x')`, 'TAR_UNSAFE_PATH'],
    ['a PAX header of 2 MiB', `f('a', pax_headers={'comment': 'x' * (2 << 20)})`, 'TAR_HEADER_TOO_LARGE'],
  ] as const) {
    withPython(`refuses ${fear}, naming layer and entry, and leaves nothing`, async () => {
      const layer = await layerOf(script);
      const error = await refusal(openImageLayer(layer, cache));
      expect(error.code).toBe(code);
      expect(error.message).toContain(layer.blob.digest);
      expect(await leftovers()).toEqual([]);
    });
  }

  it('of many more entries than the buffers hold is walked in order', async () => {
    const tar = await collect(syntheticLayer({ files: 20_000, fileSize: 20 }));
    const { inventory } = await openImageLayer(await putBlob(folder, tar), cache);
    let files = 0;
    for (const entry of inventory.entries()) {
      if (entry.type !== 'file') continue;
      const path = `opt/package-${Math.floor(files / 100)}/module-${files % 100}.js`;
      if (entry.path !== path) expect(entry.path).toBe(path); // a call for each takes seconds
      files++;
    }
    expect(files).toBe(20_000);
    expect(inventory.entryCount).toBe(20_201);
  });
});

describe('a blob', () => {
  const tar = gzipOfNothing();
  const good = () => putBlob(folder, tar);
  const damaged = async (change: (layer: LayerBlob) => Promise<unknown>): Promise<LayerBlob> => {
    const layer = await good();
    const copy = { ...layer, blobPath: `${layer.blobPath}.damaged-${++count}` };
    await writeFile(copy.blobPath, await readFile(layer.blobPath));
    await change(copy);
    return copy;
  };

  it('that is not there', async () => {
    const layer = { ...(await good()), blobPath: join(folder, 'nowhere') };
    expect(await refusal(openImageLayer(layer, cache))).toMatchObject({ code: 'BLOB_MISSING' });
  });
  it('that was cut off, and one that is too long', async () => {
    const short = await damaged(({ blobPath, blob }) => truncate(blobPath, blob.size - 1));
    const error = await refusal(openImageLayer(short, cache));
    expect(error.code).toBe('TRUNCATED_BLOB');
    expect(error.message).toContain(`has ${short.blob.size - 1} bytes, its manifest says ${short.blob.size}`);
    const long = await damaged(({ blobPath }) => appendFile(blobPath, 'x'));
    expect(await refusal(openImageLayer(long, cache))).toMatchObject({ code: 'WRONG_SIZE' });
    expect(await leftovers()).toEqual([]);
  });
  for (const where of [0.1, 0.5, 0.999]) {
    it(`with a byte flipped at ${where * 100} % is told as damaged, with both digests`, async () => {
      let actual = '';
      const layer = await damaged(async ({ blobPath }) => {
        const bytes = await readFile(blobPath);
        bytes[Math.floor(bytes.length * where)]! ^= 0x10;
        actual = digestOf(bytes);
        await writeFile(blobPath, bytes);
      });
      const error = await refusal(openImageLayer(layer, cache));
      expect(error.code).toBe('WRONG_DIGEST');
      expect(error.message).toContain(layer.blob.digest);
      expect(error.message).toContain(actual);
      expect(await leftovers()).toEqual([]);
    });
  }
  it('that unpacks to another tar than the configuration says', async () => {
    const layer = { ...(await good()), diffId: digestOf(Buffer.from('other')) };
    const error = await refusal(openImageLayer(layer, cache));
    expect(error.code).toBe('WRONG_DIFF_ID');
    expect(error.message).toContain(digestOf(tar));
    await openImageLayer(await good(), cache);
    expect(await refusal(openImageLayer(layer, cache))).toMatchObject({ code: 'WRONG_DIFF_ID' }); // the cache knows
  });
  it('that is whole but holds half a tar', async () => {
    const layer = await putBlob(folder, tar.subarray(0, 700));
    expect(await refusal(openImageLayer(layer, cache))).toMatchObject({ code: 'TAR_TRUNCATED' });
  });
  it('that unpacks to more than it may', async () => {
    const bomb = Buffer.alloc(64 << 20);
    const layer = await putBlob(folder, bomb, gzipSync(bomb));
    const error = await refusal(openImageLayer(layer, cache, { limit: 1 << 20 }));
    expect(error.code).toBe('LAYER_TOO_LARGE');
    expect(await leftovers()).toEqual([]);
  });
  it('of a media type that is no layer', async () => {
    const layer = await good();
    const encrypted = { ...layer, blob: { ...layer.blob, mediaType: `${layer.blob.mediaType}+encrypted` } };
    expect(await refusal(openImageLayer(encrypted, cache))).toMatchObject({ code: 'UNSUPPORTED_LAYER' });
  });
});

describe('the content', () => {
  it('fails when the blob was changed behind our back, and when it grows', async () => {
    const tar = await collect(syntheticLayer({ files: 100, fileSize: 5000 }));
    const layer = await putBlob(folder, tar);
    const { content } = await openImageLayer(layer, cache);
    expect(digestOf(await collect(content.open()))).toBe(layer.diffId);
    const bytes = await readFile(layer.blobPath);
    bytes[bytes.length - 3]! ^= 1; // the length field of gzip
    await writeFile(layer.blobPath, bytes);
    expect(await refusal(collect(content.open()))).toMatchObject({ code: 'WRONG_DIGEST' });
    await appendFile(layer.blobPath, 'x');
    expect(await refusal(collect(content.open()))).toMatchObject({ code: 'WRONG_SIZE' });
  });

  it('stops when it is aborted, before and in the middle', async () => {
    const tar = await collect(syntheticLayer({ files: 200, fileSize: 50_000 }));
    const { content } = await openImageLayer(await putBlob(folder, tar), cache);
    await expect(collect(content.open(AbortSignal.abort(new Error('enough'))))).rejects.toThrow('enough');
    const abort = new AbortController();
    const read = async () => {
      for await (const chunk of content.open(abort.signal)) if (chunk.length > 0) abort.abort(new Error('enough'));
    };
    await expect(read()).rejects.toThrow('enough');
  });

  it('may be left in the middle, and read by several at once', async () => {
    const tar = await collect(syntheticLayer({ files: 200, fileSize: 50_000 }));
    const { content } = await openImageLayer(await putBlob(folder, tar), cache);
    for await (const chunk of content.open()) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    const all = await Promise.all([1, 2, 3].map(async () => digestOf(await collect(content.open()))));
    expect(all).toEqual([digestOf(tar), digestOf(tar), digestOf(tar)]);
  });

  it('of an uncompressed layer is the blob', async () => {
    const tar = await collect(syntheticLayer({ files: 20, fileSize: 50_000 }));
    const { content } = await openImageLayer(await putBlob(folder, tar, tar, 'none'), cache);
    expect((await collect(content.open())).equals(tar)).toBe(true);
  });
});

describe('the cache', () => {
  const layer = async () => putBlob(folder, await collect(syntheticLayer({ files: 300, fileSize: 100 })));

  it('is used: the blob is not read again', async () => {
    const blob = await layer();
    const first = entriesOf((await openImageLayer(blob, cache)).inventory);
    const again = await openImageLayer({ ...blob, blobPath: join(folder, 'not there') }, cache);
    expect(entriesOf(again.inventory).length).toBe(first.length);
  });

  for (const [damage, change] of [
    ['cut off', (path: string) => truncate(join(path, RECORDS_FILE), 1000)],
    ['empty', (path: string) => truncate(join(path, RECORDS_FILE), 0)],
    ['without records', (path: string) => rm(join(path, RECORDS_FILE))],
    ['without tar-split', (path: string) => rm(join(path, TAR_SPLIT_FILE))],
    ['with a short tar-split', (path: string) => truncate(join(path, TAR_SPLIT_FILE), 10)],
    ['with one byte changed', (path: string) => flip(join(path, RECORDS_FILE), 500)],
    ['with its summary changed', (path: string) => flip(join(path, RECORDS_FILE), -70)],
    ['with its length changed', (path: string) => flip(join(path, RECORDS_FILE), -45)],
  ] as const) {
    it(`that holds an inventory ${damage} makes it anew`, async () => {
      const blob = await layer();
      const path = await takeInventory(blob, cache);
      const whole = await readFile(join(path, RECORDS_FILE));
      await change(path);
      const { inventory } = await openImageLayer(blob, cache);
      expect(entriesOf(inventory)).toHaveLength(inventory.entryCount);
      expect((await readFile(join(path, RECORDS_FILE))).equals(whole)).toBe(true);
    });
  }

  it('with a changed tar-split says so when it is read', async () => {
    const { inventory } = await openImageLayer(await layer(), cache);
    await flip(join(cache.path(INVENTORY_KIND, (await layer()).blob.digest.slice(7)), TAR_SPLIT_FILE), 100);
    expect(await refusal(collect(inventory.tarSplit.open()))).toMatchObject({ code: 'CACHE_DAMAGED' });
  });

  it('an aborted run leaves nothing, the next one works', async () => {
    const blob = await putBlob(folder, await collect(syntheticLayer({ files: 300, fileSize: 20_000 })));
    const abort = new AbortController();
    const work = takeInventory(blob, cache, { signal: abort.signal, onProgress: () => abort.abort(new Error('stop')) });
    await expect(work).rejects.toThrow('stop');
    expect(await leftovers()).toEqual([]);
    expect((await openImageLayer(blob, cache)).inventory.entryCount).toBe(304);
  });

  it('what a killed run left is not taken for an inventory', async () => {
    const blob = await layer();
    const path = await takeInventory(blob, cache);
    const partial = join(path, '..', `.${blob.blob.digest.slice(7)}.1-abcd.partial`);
    await runProgram('mv', [path, partial]); // what is there when the run dies before the rename
    expect(await cache.has(INVENTORY_KIND, blob.blob.digest.slice(7))).toBe(false);
    expect((await openImageLayer(blob, cache)).inventory.entryCount).toBe(304);
  });

  it('two runs at once on one layer both get it', async () => {
    const blob = await layer();
    const other = openCache(cache.root);
    const [a, b] = await Promise.all([openImageLayer(blob, cache), openImageLayer(blob, other)]);
    expect(entriesOf(a.inventory)).toHaveLength(304);
    expect(entriesOf(b.inventory)).toHaveLength(304);
  });
});

async function flip(path: string, at: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[at < 0 ? bytes.length + at : at]! ^= 1;
  await writeFile(path, bytes);
}

/** A tar of one empty directory and 100 KB of text. */
function gzipOfNothing(): Buffer {
  const header = Buffer.alloc(512);
  header.write('text\0', 0);
  header.write('0000644\x000000000\x000000000\x0000000303240\x0000000000000\0        0', 100, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const text = Buffer.from(Array.from({ length: 20_000 }, (_, i) => String(i).padStart(5, '0')).join(''));
  return Buffer.concat([header, text, Buffer.alloc(-text.length & 511), Buffer.alloc(1024)]);
}
