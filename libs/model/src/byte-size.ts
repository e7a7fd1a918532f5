import { UserError } from './user-error.ts';

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;

const UNITS: Readonly<Record<string, number>> = {
  '': 1, B: 1,
  K: KiB, KiB, M: MiB, MiB, G: GiB, GiB, T: 1024 * GiB, TiB: 1024 * GiB,
  kB: 1e3, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12,
}; // prettier-ignore

/** Bytes from `4GiB`, `512M` (binary, as in `truncate`), `2GB` (decimal) or a plain number. */
export function parseByteSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  const unit = match && Object.hasOwn(UNITS, match[2]!) ? UNITS[match[2]!] : undefined;
  if (!match || unit === undefined) {
    throw new UserError('BAD_SIZE', `"${text}" is not a size`, 'Write a number and a unit, as in 512MiB or 4GiB.');
  }
  const bytes = Math.round(Number(match[1]) * unit);
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new UserError('BAD_SIZE', `"${text}" is more than any disk holds`, 'Write a size as in 512MiB or 4GiB.');
}

/** A size for people: `0 B`, `17.3 KiB`, `4.0 GiB`. */
export function formatByteSize(bytes: number): string {
  let value = bytes;
  let unit = 'B';
  for (const next of ['KiB', 'MiB', 'GiB', 'TiB']) {
    if (Math.abs(value) < 1024) break;
    value /= 1024;
    unit = next;
  }
  return unit === 'B' ? `${value} B` : `${value.toFixed(1)} ${unit}`;
}

/** The smallest multiple of `step` that is not below `value`. */
export function alignUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}
