import { rootfsBelow, type RootfsReader } from '@boxship/filesystem';
import { UserError } from '@boxship/model';

/** An OSTree sysroot as `ostree admin deploy` leaves it (ostree, "Deployments"): systems, each with deployments and one /var. */
export interface OstreeSysroot {
  /** Name of the system, as `torizon`. */
  readonly system: string;
  /** What the device has as `/`: read alone, a deployment is never edited. */
  readonly deployment: RootfsReader;
  /** What the device has as `/var`: an absolute path of the file system. */
  readonly varFolder: string;
}

const DEPLOY = 'ostree/deploy';

/** The one system with its one deployment. Errors: OSTREE_AMBIGUOUS. */
export async function readOstreeSysroot(files: RootfsReader): Promise<OstreeSysroot> {
  const found: { readonly system: string; readonly folder: string }[] = [];
  for (const { name: system, type } of await files.readDirectory(DEPLOY)) {
    if (type !== 'directory') continue;
    for (const { name, type: kind } of await files.readDirectory(`${DEPLOY}/${system}/deploy`)) {
      if (kind === 'directory') found.push({ system, folder: `${DEPLOY}/${system}/deploy/${name}` }); // beside it: <name>.origin
    }
  }
  const [only, second] = found;
  if (!only || second) {
    throw new UserError(
      'OSTREE_AMBIGUOUS',
      `the OSTree sysroot has ${found.length} deployments${found.map(({ folder }) => `\n  /${folder}`).join('')}`,
      'Give an image with one deployment, as the vendor ships it: which one the device would start is not known.',
    );
  }
  const { system, folder } = only;
  return { system, deployment: rootfsBelow(files, folder), varFolder: `/${DEPLOY}/${system}/var` };
}
