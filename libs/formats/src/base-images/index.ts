import { pick, UserError } from '@boxship/model';
import type { BaseImageFormat } from '../base-image-format.ts';
import { raw } from './raw.ts';
import { tezi } from './tezi.ts';

/** Every format that a base image can have. A module of this folder, and a line here. */
export const baseImageFormats = { tezi, raw } satisfies Record<string, BaseImageFormat>;

/** The format with that name. Error: UNKNOWN_FORMAT, naming those that are known. */
export function baseImageFormat(name: string): BaseImageFormat {
  return pick<BaseImageFormat>('format', baseImageFormats, name);
}

/** The format of the base image at `path`. Error: BASE_IMAGE_UNKNOWN. */
export async function probeBaseImage(path: string): Promise<BaseImageFormat> {
  for (const format of Object.values(baseImageFormats)) if (await format.probe(path)) return format;
  throw new UserError(
    'BASE_IMAGE_UNKNOWN',
    `the base image ${path} is of no known format`,
    'Known: raw, the image of a whole disk with a GPT or an MBR; tezi, a folder or an archive for Toradex Easy Installer.',
  );
}
