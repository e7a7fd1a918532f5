import { pick } from '@boxship/model';
import type { ArtifactFormat } from '../artifact-format.ts';
import { raw } from './raw.ts';
import { tezi } from './tezi.ts';

/** Every format that an artifact can have. A module of this folder, and a line here. */
export const artifactFormats = { raw, tezi } satisfies Record<string, ArtifactFormat>;

/** What is made when nothing is asked for. */
export const DEFAULT_ARTIFACTS: readonly string[] = [raw.name];

/** The format with that name. Error: UNKNOWN_FORMAT, naming those that are known. */
export function artifactFormat(name: string): ArtifactFormat {
  return pick<ArtifactFormat>('format', artifactFormats, name);
}
