import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { openCache, runProgram, type Cache } from '@boxship/host';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCrc64 } from './crc64.ts';
import { openImageLayer } from './image-layer.ts';
import { syntheticLayer } from './synthetic-layer.ts';
import { collect, digestOf, itNeeds, putBlob, pythonTar } from './test-layers.ts';

let folder = '';
let cache: Cache;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-tar-split-'));
  cache = openCache(join(folder, 'cache'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const withTarSplit = await itNeeds('tar-split', 'python3', 'tar');

/** Our tar-split of an archive, still compressed. */
async function tarSplitOf(tar: Buffer): Promise<Buffer> {
  const layer = await openImageLayer(await putBlob(folder, tar), cache);
  return collect(layer.inventory.tarSplit.open());
}

/** The lines of vbatts/tar-split's own program; its last one, of no bytes, is gone from later versions. */
async function disassembled(archive: string): Promise<string[]> {
  const output = `${archive}.json.gz`;
  await runProgram('tar-split', ['disasm', '--no-stdout', '--output', output, archive]);
  const lines = gunzipSync(await readFile(output))
    .toString()
    .trimEnd()
    .split('\n');
  return lines.filter((line) => !line.startsWith('{"type":2,"payload":"",'));
}

/** The digest of what vbatts/tar-split's own program puts together from our file and an unpacked tree. */
async function assembled(archive: string, tarSplit: Buffer): Promise<string> {
  const tree = `${archive}.tree`;
  await mkdir(tree);
  await runProgram('tar', ['-xf', archive, '-C', tree]);
  await writeFile(`${archive}.ours.gz`, tarSplit);
  await runProgram('tar-split', [
    'asm',
    '--input',
    `${archive}.ours.gz`,
    '--path',
    tree,
    '--output',
    `${archive}.again`,
  ]);
  return digestOf(await readFile(`${archive}.again`));
}

const NAMES = `
f('./', kind='d', mode=0o755); f('./dir/', kind='d'); f('./dir/a', b'hello'); f('./dir/empty'); f('dir/one', b'x'*512)
f('dir/quote"back\\\\slash<&>', b'q'); f('dir/tab\\tline\\nbell\\x07', b't'); f('dir/\\u2028\\u00fc\\u65e5', b'u'); f('dir/\\x7f', b'd')
f('dir/hard', kind='l', link='./dir/a'); f('dir/sym', kind='s', link='a'); f('dir/fifo', kind='p')
f('dir/' + 'long'*60, b'l'*1000, pax_headers={'SCHILY.xattr.user.note': 'value', 'mtime': '1.5'}); f('.wh.gone'); f('dir/.wh..wh..opq')
`;

describe('tar-split', () => {
  withTarSplit('is what vbatts/tar-split makes, and it makes the archive again', async () => {
    const archive = await pythonTar(folder, 'names.tar', NAMES);
    const tar = await readFile(archive);
    const ours = await tarSplitOf(tar);
    // the program cuts what follows the end of the archive at its own reads
    expect(withoutTrailer(gunzipSync(ours).toString().trimEnd().split('\n'))).toEqual(
      withoutTrailer(await disassembled(archive)),
    );
    expect(await assembled(archive, ours)).toBe(digestOf(tar));
  });

  withTarSplit('names that are not UTF-8', async () => {
    const archive = join(folder, 'raw.tar');
    await runProgram('python3', ['-c', RAW_NAMES, archive]);
    const tar = await readFile(archive);
    const ours = await tarSplitOf(tar);
    expect(gunzipSync(ours).toString()).toContain('"name_raw":"cmF3Lf/+"');
    expect(withoutTrailer(gunzipSync(ours).toString().trimEnd().split('\n'))).toEqual(
      withoutTrailer(await disassembled(archive)),
    );
    expect(await assembled(archive, ours)).toBe(digestOf(tar));
  });

  for (const [name, ...options] of [
    ['gnu', '--format=gnu'],
    ['pax', '--format=pax', '--pax-option=globexthdr.name=global,comment=x'],
    ['sparse gnu', '--format=gnu', '--sparse', '--hole-detection=raw'],
    ['sparse pax 0.1', '--format=pax', '--sparse', '--hole-detection=raw', '--sparse-version=0.1'],
    ['sparse pax 1.0', '--format=pax', '--sparse', '--hole-detection=raw', '--sparse-version=1.0'],
  ] as const) {
    withTarSplit(`an archive of GNU tar comes back whole: ${name}`, async () => {
      const tree = await mkdtemp(join(folder, 'tree-'));
      await writeFile(join(tree, 'plain'), Buffer.alloc(100_000, 'p'));
      const holes = Buffer.alloc(200_000);
      for (let at = 0; at < holes.length; at += 20_000) holes.write('data', at);
      await writeFile(join(tree, 'with-holes'), holes);
      await mkdir(join(tree, 'd'.repeat(150)));
      const archive = join(folder, `${name.replaceAll(' ', '-')}.tar`);
      await runProgram('tar', ['-cf', archive, ...options, '-C', tree, '.']);
      const tar = await readFile(archive);
      expect(await assembled(archive, await tarSplitOf(tar))).toBe(digestOf(tar));
    });
  }

  withTarSplit('padding and rubbish after the end come back', async () => {
    const archive = await pythonTar(folder, 'padded.tar', `f('a', b'hello')`);
    const rubbish = Buffer.concat([await readFile(archive), Buffer.alloc(3_000_001, 'rubbish')]);
    await writeFile(archive, rubbish);
    expect(await assembled(archive, await tarSplitOf(rubbish))).toBe(digestOf(rubbish));
  });

  it('is the same bytes again, and no header field tells of the host', async () => {
    const tar = await collect(syntheticLayer({ files: 500, fileSize: 600 }));
    const first = await tarSplitOf(tar);
    await cache.remove('inventory-v1', (await putBlob(folder, tar)).blob.digest.slice(7));
    const second = await tarSplitOf(tar);
    expect(second.equals(first)).toBe(true);
    expect(first.subarray(4, 8)).toEqual(Buffer.alloc(4)); // mtime (RFC 1952 2.3.1)
    expect(digestOf(first)).toMatchInlineSnapshot(
      `"sha256:58faf00559d2021bea7e13aacaa4d0f963e6dab8491ed32652ec440f1c6b3f86"`,
    );
  });
});

it('CRC-64/ISO of the check string is that of Go', async () => {
  const crc = await createCrc64();
  crc.reset();
  crc.update(Buffer.from('1234'));
  crc.update(Buffer.from('56789'));
  expect(Buffer.from(crc.base64(), 'base64').toString('hex')).toBe('b90956c775a41001');
  crc.reset();
  expect(crc.base64()).toBe('AAAAAAAAAAA=');
});

/** The lines up to the last file, and the bytes behind it joined. */
function withoutTrailer(lines: readonly string[]): unknown {
  const last = lines.findLastIndex((line) => line.startsWith('{"type":1'));
  const rest = lines
    .slice(last + 1)
    .map((line) => Buffer.from((JSON.parse(line) as { payload: string }).payload, 'base64'));
  return { lines: lines.slice(0, last + 1), trailer: Buffer.concat(rest).toString('hex') };
}

const RAW_NAMES = `
import tarfile, io, sys
t = tarfile.open(sys.argv[1], 'w', format=tarfile.GNU_FORMAT, encoding='utf-8', errors='surrogateescape')
for name in (b'raw-\\xff\\xfe', b'half-\\xc3', b'surrogate-\\xed\\xa0\\x80', b'long-\\x80' * 30, b'beyond-\\xf4\\x90\\x80\\x80', 'fine-\\ufffd'.encode()):
    m = tarfile.TarInfo(name.decode('utf-8', 'surrogateescape')); m.size = 3; t.addfile(m, io.BytesIO(b'abc'))
t.close()
`;
