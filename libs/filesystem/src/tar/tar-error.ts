import { UserError } from '@boxship/model';

/** Codes of what can be wrong with a tar stream. */
export type TarProblemCode =
  | 'TAR_BAD_CHECKSUM'
  | 'TAR_BAD_HEADER'
  | 'TAR_BAD_NAME'
  | 'TAR_BAD_NUMBER'
  | 'TAR_BAD_SPARSE_MAP'
  | 'TAR_HEADER_TOO_LARGE'
  | 'TAR_TOO_LARGE'
  | 'TAR_TRUNCATED'
  | 'TAR_UNSAFE_PATH'
  | 'TAR_UNSUPPORTED_ENTRY';

/** Where in a stream the reader is: the stream's name, the entry if it is known, its header's position in bytes. */
export interface TarPlace {
  readonly stream: string;
  readonly entry?: string | undefined;
  readonly offset: number;
}

/** An error that names the stream, the entry and the position of its header. */
export function tarError(code: TarProblemCode, place: TarPlace, what: string, hint?: string): UserError {
  const entry = place.entry === undefined ? '' : `entry "${printableName(place.entry)}" `;
  return new UserError(
    code,
    `${place.stream}: ${entry}at offset ${place.offset}: ${what}`,
    hint ?? 'The archive is damaged or was made to harm; make it again with a current tar or image builder.',
  );
}

/** A name of any bytes as text for people: UTF-8 where it is, escapes for control characters, cut after 200 bytes. */
export function printableName(name: string): string {
  const text = Buffer.from(name.slice(0, 200), 'latin1').toString('utf8');
  const escaped = text.replace(/[\p{Cc}"\\]/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return name.length > 200 ? `${escaped}…` : escaped;
}
