import { pick, type ArtifactOptions } from '@boxship/model';
import type { WantedArtifact } from '../artifact-exchange.ts';
import type { ArtifactFormat, ArtifactRelease, PlannedArtifact } from '../artifact-format.ts';
import type { WantedForm } from '../planned-raw-image.ts';
import { planDiskImage } from '../raw-plan.ts';
import { androidSparse } from './android-sparse.ts';
import { mender } from './mender.ts';
import { rauc } from './rauc.ts';
import { raw } from './raw.ts';
import { rootfsTar } from './rootfs-tar.ts';
import { swupdate } from './swupdate.ts';
import { tezi } from './tezi.ts';
import { uuu } from './uuu.ts';

/** Every format that an artifact can have. A module of this folder, and a line here. */
export const artifactFormats = {
  'android-sparse': androidSparse,
  mender,
  rauc,
  raw,
  'rootfs-tar': rootfsTar,
  swupdate,
  tezi,
  uuu,
} satisfies Record<string, ArtifactFormat>;

/** What is made when nothing is asked for. */
export const DEFAULT_ARTIFACTS: readonly string[] = [raw.name];

/** The format with that name. Error: UNKNOWN_FORMAT, naming those that are known. */
export function artifactFormat(name: string): ArtifactFormat {
  return pick<ArtifactFormat>('format', artifactFormats, name);
}

/**
 * Plans everything that the variant asks for: one for each format, but one for all forms of the image of a disk, which is
 * written once. Nothing is written. Errors: those of the formats.
 */
export async function planArtifacts(release: ArtifactRelease): Promise<readonly PlannedArtifact[]> {
  const { artifacts } = release.variant;
  const forms: WantedForm[] = [];
  const plans: (() => Promise<PlannedArtifact>)[] = [];
  for (const name of new Set(artifacts.map(({ format }) => format))) {
    const format = artifactFormat(name);
    const wanted = artifacts.filter((one) => one.format === name);
    if ('plan' in format) plans.push(() => format.plan(release, wanted));
    else {
      if (forms.length === 0) plans.push(() => planDiskImage(release, forms));
      forms.push(...wanted.map((options) => ({ form: format, options })));
    }
  }
  const planned: PlannedArtifact[] = [];
  for (const plan of plans) planned.push(await plan());
  return planned;
}

/** Of the entries of `artifacts`, those that are made anew together with one of `format` when a half of it is exchanged. */
export function madeTogether(artifacts: readonly ArtifactOptions[], format: ArtifactFormat): readonly WantedArtifact[] {
  return artifacts
    .map((options) => ({ format: artifactFormat(options.format), options }))
    .filter((one) => one.format === format || (!('plan' in one.format) && !('plan' in format)));
}
