import type { ContentSource, Tree, TreeEntry } from '@boxship/model';

/** A pax archive of a tree, for GNU tar to extract: everything is in pax records, so that nothing is cut off. */
export async function paxArchive(tree: Tree): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (const entry of tree.entries()) {
    if (entry.path === '' || entry.type === 'socket') continue;
    const content = await fileBytes(entry);
    const records = [
      record('path', bytes(entry.path)),
      record('mtime', bytes(decimalTime(entry))),
      record('uid', bytes(String(entry.uid))),
      record('gid', bytes(String(entry.gid))),
      ...(entry.link ? [record('linkpath', bytes(entry.link))] : []),
      ...(entry.xattrs ?? []).map(({ name, value }) => record(`SCHILY.xattr.${name}`, value)),
    ];
    const extended = Buffer.concat(records);
    parts.push(header('x', { ...entry, path: 'pax', mode: 0o644 }, extended.length), padded(extended));
    parts.push(header(TYPES[entry.type]!, entry, content.length), padded(content));
  }
  parts.push(new Uint8Array(1024));
  return Buffer.concat(parts);
}

const TYPES: Readonly<Record<string, string>> = {
  file: '0', hardlink: '1', symlink: '2', characterDevice: '3', blockDevice: '4', directory: '5', fifo: '6',
}; // prettier-ignore

/** The bytes of a regular file, holes included. */
export async function fileBytes(entry: TreeEntry): Promise<Uint8Array> {
  const result = new Uint8Array(entry.size);
  const { content } = entry;
  if (!content) return result;
  const stream = await readAll(content.source);
  const segments =
    'segments' in content ? content.segments : [{ position: 0, offset: content.offset, length: entry.size }];
  for (const { position, offset, length } of segments) {
    result.set(stream.subarray(offset, offset + length), position);
  }
  return result;
}

async function readAll(source: ContentSource): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source.open()) chunks.push(Uint8Array.from(chunk));
  return Buffer.concat(chunks);
}

function bytes(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

function decimalTime({ mtime, mtimeNanoseconds }: TreeEntry): string {
  const total = BigInt(mtime) * 1_000_000_000n + BigInt(mtimeNanoseconds);
  const size = total < 0n ? -total : total;
  const fraction = String(size % 1_000_000_000n).padStart(9, '0');
  return `${total < 0n ? '-' : ''}${size / 1_000_000_000n}.${fraction}`;
}

/** `length key=value\n`, where the length counts itself. */
function record(key: string, value: Uint8Array): Uint8Array {
  const rest = 1 + key.length + 1 + value.length + 1;
  let length = rest + 1;
  while (String(length).length + rest !== length) length = String(length).length + rest;
  return Buffer.concat([bytes(`${length} ${key}=`), value, bytes('\n')]);
}

function header(type: string, entry: TreeEntry, size: number): Uint8Array {
  const block = Buffer.alloc(512);
  block.write(entry.path.slice(0, 99), 0, 'latin1');
  block.write(entry.mode.toString(8).padStart(7, '0'), 100);
  block.write('0000000', 108);
  block.write('0000000', 116);
  block.write(size.toString(8).padStart(11, '0'), 124);
  block.write('00000000000', 136);
  block.write('        ', 148);
  block.write(type, 156);
  block.write((entry.link ?? '').slice(0, 99), 157, 'latin1');
  block.write('ustar\0' + '00', 257);
  block.write((entry.major ?? 0).toString(8).padStart(7, '0'), 329);
  block.write((entry.minor ?? 0).toString(8).padStart(7, '0'), 337);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(sum.toString(8).padStart(6, '0') + '\0 ', 148);
  return block;
}

function padded(content: Uint8Array): Uint8Array {
  const result = new Uint8Array(Math.ceil(content.length / 512) * 512);
  result.set(content);
  return result;
}
