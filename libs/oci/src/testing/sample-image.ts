import { gzipSync } from 'node:zlib';
import type { ImageToWrite } from '../oci-layout-writer.ts';
import { mediaTypes } from '../media-type.ts';

export interface TarMember {
  readonly name: string;
  readonly content?: string | Uint8Array;
  /** Target of a link. */
  readonly link?: string;
  /** ustar type flag. Default: `0`, or `2` with a link. */
  readonly type?: string;
}

/** A ustar archive, made by hand so that it can be wrong where a test wants it wrong. */
export function tarOf(members: readonly TarMember[]): Buffer {
  const blocks = members.flatMap(({ name, content = '', link = '', type }) => {
    const bytes = Buffer.from(content);
    return [tarHeader(name, bytes.length, type ?? (link ? '2' : '0'), link), padded(bytes)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

export function tarHeader(name: string, size: number, type: string, link = ''): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0, 100);
  header.write('0000644\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write(type, 156);
  header.write(link, 157, 100);
  header.write('ustar\x0000', 257);
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

/** A small image of two gzip layers; `seed` makes the bytes of the upper one differ. */
export function sampleImage(
  reference: string,
  seed = 'one',
  platform = { os: 'linux', architecture: 'amd64' },
): ImageToWrite {
  const layer = (members: readonly TarMember[]) => ({
    blob: [gzipSync(tarOf(members), { level: 9 })],
    mediaType: mediaTypes.ociLayerGzip,
  });
  return {
    reference,
    platform,
    config: { Cmd: ['/bin/app'], Env: ['PATH=/bin'] },
    layers: [
      layer([{ name: 'bin/base', content: 'base' }]),
      layer([{ name: 'bin/app', content: `app ${seed} ${platform.architecture}` }]),
    ],
  };
}
