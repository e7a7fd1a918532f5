import { createHash, type Hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { runProgram } from '@boxship/host';
import { it } from 'vitest';
import { createTarParser, type TarOptions } from './tar-parser.ts';
import type { TarEntry } from './tar-entry.ts';

/** For tests: `it` when the programs are there or must be (CI), a visible skip otherwise. */
export async function itNeeds(...programs: readonly string[]): Promise<typeof it | typeof it.skip> {
  for (const program of programs) {
    const there = await runProgram(program, ['--version']).then(
      () => true,
      () => false,
    );
    if (!there && process.env['CI'] !== 'true') return it.skip;
  }
  return it;
}

/** A tree of everything a tar can hold, made by python in the folder it gets; devices only as root. */
const MAKE_TREE = `
import os, sys, stat
os.chdir(sys.argv[1].encode())
os.umask(0)
def put(name, data, mode=0o644, mtime=(1700000000, 0)):
    with open(name, 'wb') as f: f.write(data)
    os.chmod(name, mode); os.utime(name, ns=(mtime[0]*10**9+mtime[1],)*2)
os.mkdir('dir', 0o755); os.mkdir('dir/sticky'); os.chmod('dir/sticky', 0o1777)
put('dir/plain', b'hello\\n'); put('dir/empty', b''); put('dir/setuid', b'x'*512, 0o4755)
put('dir/block+1', b'y'*513); put('dir/nano', b'n', mtime=(1600000000, 123456789))
put('dir/old', b'o', mtime=(-5, 250000000)); put('dir/future', b'f', mtime=(5000000000, 0))
long = 'dir/' + '/'.join('part%02d' % i + 'l'*60 for i in range(4))
os.makedirs(long); put(long + '/file', b'long')
put('dir/' + 'm'*100, b'1'); put('dir/' + 'n'*180, b'2')
put('dir/\\u00fcmlaut-\\u65e5\\u672c', b'u'); put(b'dir/not-utf8-\\xff\\xfe', b'r')
put('dir/quote"back\\\\slash<&>', b'q'); put('dir/line\\nbreak', b'b')
os.link('dir/plain', 'dir/zz-hardlink'); os.symlink('plain', 'dir/symlink'); os.symlink('/' + 'far/'*60, 'dir/longlink')
os.mkfifo('dir/fifo', 0o600)
if os.geteuid() == 0:
    os.mknod('dir/zero', 0o666|stat.S_IFCHR, os.makedev(1, 5)); os.mknod('dir/loop', 0o660|stat.S_IFBLK, os.makedev(7, 300))
    put('dir/owned', b'o'); os.chown('dir/owned', 3000000, 4000000)
def sparse(name, size, runs):
    with open(name, 'wb') as f:
        f.truncate(size)
        for at, data in runs: f.seek(at); f.write(data)
    os.utime(name, (1700000000,)*2)
sparse('sparse-hole', 1<<20, []); sparse('sparse-few', 1<<20, [(65536, b'a'*4096), (524288, b'b'*5000)])
sparse('sparse-many', 8<<20, [(i*262144, bytes([65+i])*4096) for i in range(30)])
sparse('sparse-end', 300000, [(299000, b'e'*1000)])
for name in (b'dir', b'dir/plain', 'dir/\\u00fcmlaut-\\u65e5\\u672c'.encode()):
    try: os.setxattr(name, 'user.note', b'bin\\x00\\xff=value\\n'); os.setxattr(name, 'user.a', b'')
    except OSError: pass
if os.geteuid() == 0: os.setxattr('dir/setuid', 'security.capability', bytes.fromhex('0100000200200000000000000000000000000000'))
`;

export async function makeTree(folder: string): Promise<void> {
  await runProgram('python3', ['-c', MAKE_TREE, folder]);
}

/** What python's tarfile reads from an archive, one JSON line an entry; bytes as latin1. */
const LIST = `
import tarfile, sys, json, hashlib
raw = lambda s: s.encode('utf-8', 'surrogateescape').decode('latin1')
kinds = {tarfile.LNKTYPE:'hardlink', tarfile.SYMTYPE:'symlink', tarfile.CHRTYPE:'characterDevice', tarfile.BLKTYPE:'blockDevice',
         tarfile.DIRTYPE:'directory', tarfile.FIFOTYPE:'fifo'}
for m in (t := tarfile.open(sys.argv[1], 'r:', errors='surrogateescape')):
    kind = kinds.get(m.type, 'file'); time = m.pax_headers.get('mtime', str(int(m.mtime)))
    whole, _, part = time.lstrip('-').partition('.'); ns = int(whole)*10**9 + int(part[:9].ljust(9, '0')); ns = -ns if time[0] == '-' else ns
    e = dict(path=raw(m.name), type=kind, mode=m.mode & 0o7777, uid=m.uid, gid=m.gid, mtime=ns//10**9, ns=ns%10**9)
    if kind == 'file': e['size'] = m.size; e['sha256'] = hashlib.sha256(t.extractfile(m).read()).hexdigest()
    if kind in ('hardlink', 'symlink'): e['link'] = raw(m.linkname)
    if kind.endswith('Device'): e['major'] = m.devmajor; e['minor'] = m.devminor
    x = {k[13:]: raw(v) for k, v in m.pax_headers.items() if k.startswith('SCHILY.xattr.')}
    if x: e['xattrs'] = x
    print(json.dumps(e))
`;

export async function listWithPython(archive: string): Promise<Listed[]> {
  const { stdout } = await runProgram('python3', ['-c', LIST, archive]);
  const lines = stdout.toString().split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Listed);
}

/** An entry as the oracle prints it. */
export interface Listed {
  path: string;
  type: string;
  mode: number;
  uid: number;
  gid: number;
  mtime: number;
  ns: number;
  size?: number;
  sha256?: string;
  link?: string;
  major?: number;
  minor?: number;
  xattrs?: Record<string, string>;
}

export interface ReadBack {
  readonly entries: TarEntry[];
  /** The entries as the oracle prints them. */
  listed(): Listed[];
  /** `raw` and `data` joined: must be the archive. */
  readonly stream: Buffer;
  readonly globals: string[];
}

/** Our reader's view of `archive`, fed in pieces of `chunkSize` bytes. */
export function readBack(archive: Buffer, chunkSize = 65536, options: TarOptions = {}): ReadBack {
  const entries: TarEntry[] = [];
  const globals: string[] = [];
  const pieces: Buffer[] = [];
  const data: Buffer[][] = [];
  const parser = createTarParser(
    {
      entry(entry) {
        entries.push(entry);
        data.push([]);
      },
      data(bytes) {
        pieces.push(Buffer.from(bytes));
        data.at(-1)!.push(Buffer.from(bytes));
      },
      raw: (bytes) => void pieces.push(Buffer.from(bytes)),
      globalHeader: (name) => void globals.push(name),
    },
    options,
  );
  for (let at = 0; at < archive.length; at += chunkSize) parser.push(archive.subarray(at, at + chunkSize));
  parser.end();
  const list = () => entries.map((entry, i) => listed(entry, Buffer.concat(data[i]!)));
  return { entries, listed: list, stream: Buffer.concat(pieces), globals };
}

export async function readBackFile(path: string): Promise<ReadBack> {
  return readBack(await readFile(path));
}

function listed(entry: TarEntry, stored: Buffer): Listed {
  const { path, type, mode, uid, gid, mtime, mtimeNanoseconds: ns, link, major, minor, xattrs } = entry;
  const hash = createHash('sha256');
  if (entry.segments) hashSegments(hash, entry, stored);
  else hash.update(stored);
  return {
    path, type, mode, uid, gid, mtime, ns,
    ...(type === 'file' ? { size: entry.size, sha256: hash.digest('hex') } : {}),
    ...(link === undefined ? {} : { link }),
    ...(major === undefined ? {} : { major, minor: minor! }),
    ...(xattrs ? { xattrs: Object.fromEntries(xattrs.map(({ name, value }) => [name, Buffer.from(value).toString('latin1')])) } : {}),
  }; // prettier-ignore
}

function hashSegments(hash: Hash, entry: TarEntry, stored: Buffer): void {
  let at = 0;
  for (const { position, offset, length } of entry.segments!) {
    hash.update(Buffer.alloc(position - at));
    hash.update(stored.subarray(offset - entry.dataOffset, offset - entry.dataOffset + length));
    at = position + length;
  }
  hash.update(Buffer.alloc(entry.size - at));
}

/** Sets the checksum of the header block at `at` right again after a change. */
export function fixChecksum(archive: Buffer, at = 0): Buffer {
  archive.fill(0x20, at + 148, at + 156);
  let sum = 0;
  for (const byte of archive.subarray(at, at + 512)) sum += byte;
  archive.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1');
  return archive;
}
