import { gunzipSync } from 'node:zlib';
import { createTarParser } from '@boxship/filesystem';
import { UserError, type RandomReader } from '@boxship/model';
import { DESCRIPTION_MAX, MEMBERS_MAX, type UpdateReader } from './update-reader.ts';

const BLOCK = 512;

/** An artifact of Mender, version 3: a tar archive that begins with `version` (Mender artifact format, version 3). */
export const mender: UpdateReader = {
  name: 'mender',
  async read(file, name) {
    const members: { name: string; size: number }[] = [];
    let description = '';
    for (let at = 0; at + BLOCK <= file.size && members.length < MEMBERS_MAX;) {
      const header = Buffer.from(await file.read(at, BLOCK));
      if (header.every((byte) => byte === 0)) break;
      const member = header.toString('utf8', 0, 100).replace(/\0.*$/s, '');
      const size = Number.parseInt(header.toString('latin1', 124, 136), 8);
      const isTar = header.toString('latin1', 257, 262) === 'ustar' && size >= 0;
      if (at === 0 && (!isTar || member !== 'version' || !(await isMender(file, size)))) return undefined;
      if (!isTar || at + BLOCK + size > file.size) {
        throw new UserError('BAD_UPDATE', `${name} ends, or is damaged, at byte ${at}`, 'Fetch it again.');
      }
      members.push({ name: member, size });
      if (member === 'header.tar.gz' && size <= DESCRIPTION_MAX) {
        description = headerInfo(Buffer.from(await file.read(at + BLOCK, size)), name);
      }
      at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
    }
    return members.length === 0 ? undefined : { description, members };
  },
};

async function isMender(file: RandomReader, size: number): Promise<boolean> {
  if (size > BLOCK || 2 * BLOCK > file.size) return false;
  return /"format"\s*:\s*"mender"/.test(Buffer.from(await file.read(BLOCK, size)).toString('utf8'));
}

/** `header-info` of header.tar.gz. Errors: BAD_UPDATE. */
function headerInfo(packed: Buffer, name: string): string {
  const chunks: Buffer[] = [];
  let isWanted = false;
  try {
    const parser = createTarParser({
      entry: ({ path }) => void (isWanted = path === 'header-info'),
      data: (bytes) => void (isWanted && chunks.push(Buffer.from(bytes))),
    });
    parser.push(gunzipSync(packed, { maxOutputLength: 16 * DESCRIPTION_MAX }));
    parser.end();
  } catch {
    throw new UserError('BAD_UPDATE', `header.tar.gz of ${name} cannot be unpacked: it is damaged`);
  }
  return Buffer.concat(chunks).toString('utf8');
}
