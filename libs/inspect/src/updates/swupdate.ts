import { UserError, type RandomReader } from '@boxship/model';
import { DESCRIPTION_MAX, MEMBERS_MAX, type UpdateReader } from './update-reader.ts';

/** cpio(5), "New ASCII Format": a magic of 6 characters and 13 numbers of 8 hex digits. */
const HEADER = 110;
const MAGICS = ['070701', '070702'];
const LAST = 'TRAILER!!!';
const NAME_MAX = 4096;

/** `.swu` of SWUpdate: a cpio archive whose first member is `sw-description`. */
export const swupdate: UpdateReader = {
  name: 'swupdate',
  async read(file, name) {
    if (file.size < HEADER || !MAGICS.includes(await textAt(file, 0, 6))) return undefined;
    const members: { name: string; size: number }[] = [];
    let description: string | undefined;
    for (let at = 0; members.length < MEMBERS_MAX;) {
      if (at + HEADER > file.size) throw cutOff(name);
      const header = await textAt(file, at, HEADER);
      const field = (index: number) => Number.parseInt(header.slice(6 + index * 8, 14 + index * 8), 16);
      const [size, nameLength] = [field(6), field(11)];
      if (!MAGICS.includes(header.slice(0, 6)) || !(size >= 0) || !(nameLength > 0 && nameLength <= NAME_MAX)) {
        throw new UserError('BAD_UPDATE', `${name} has no member of a cpio archive at byte ${at}: it is damaged`);
      }
      const data = align(at + HEADER + nameLength);
      if (data + size > file.size) throw cutOff(name);
      const member = (await textAt(file, at + HEADER, nameLength)).replace(/\0.*$/s, '');
      if (member === LAST) break;
      if (members.length === 0 && description === undefined) {
        if (member !== 'sw-description') return undefined; // a cpio archive of another kind
        if (size > DESCRIPTION_MAX) throw new UserError('BAD_UPDATE', `${name} has a sw-description of ${size} bytes`);
        description = Buffer.from(await file.read(data, size)).toString('utf8');
      } else members.push({ name: member, size });
      at = align(data + size);
    }
    return description === undefined ? undefined : { description, members };
  },
};

function align(position: number): number {
  return Math.ceil(position / 4) * 4;
}

async function textAt(file: RandomReader, start: number, length: number): Promise<string> {
  return Buffer.from(await file.read(start, Math.min(length, file.size - start))).toString('latin1');
}

function cutOff(name: string): UserError {
  return new UserError('BAD_UPDATE', `${name} ends before its archive does: it is cut off`, 'Fetch it again.');
}
