import { planTar, writeTar } from '@boxship/filesystem';
import type { App, Tree, TreeEntry, Variant } from '@boxship/model';
import type { PlannedArtifact, RootfsChange } from '../artifact-format.ts';
import type { BaseImage, BaseRootfs } from '../base-image-format.ts';
import { planPayload } from '../payload.ts';
import { commonFields, withFiles, type TeziFields, type Unpacked } from './compose-image-json.ts';
import { findTeziRootfs } from './find-rootfs.ts';
import type { OwnFile } from './own-files.ts';
import type { ArchivePart } from './tezi-archive.ts';
import { IMAGE_JSON } from './tezi-folder.ts';
import { bytesPart, layoutOfVendor, plannedArchive, refuseFullRootfs, refuseOwnFiles, unpackedSize, vendorParts, wholePart } from './tezi-plan.ts'; // prettier-ignore

/** Names that TorizonCore Builder gives to the same, but for the compression. */
export const TORIZON_FILES = { store: 'docker-storage.tar', app: 'docker-compose.tar' } as const;

/** Where docker-compose.service of Torizon looks for its project, below /var. */
const PROJECT = 'sota/storage/docker-compose';
const DOCKER = 'lib/docker';

export interface TorizonRelease {
  readonly variant: Variant;
  readonly base: BaseImage;
  readonly rootfs: BaseRootfs;
  /** /var of the system, an absolute path of the rootfs. */
  readonly varFolder: string;
  /** docker's data root: `docker/overlay2` and `docker/image` of it are taken. */
  readonly store: Tree;
  readonly app: App;
}

/**
 * The vendor's image with one app by Torizon's own contract: the installer unpacks the project and docker's images into the /var of
 * the OSTree system. The vendor's files stay as they are. Errors: TEZI_OWN_FILE, TEZI_ROOTFS_FULL.
 */
export async function planTorizon(
  { variant, base, rootfs: { partition }, varFolder, store, app }: TorizonRelease,
  fields: TeziFields,
  files: readonly OwnFile[],
): Promise<PlannedArtifact> {
  const image = base.tezi!;
  const { epoch } = variant;
  const rootfs = findTeziRootfs(image, variant.machine.rootfs);
  refuseOwnFiles(image, [...Object.values(TORIZON_FILES), ...files.map(({ name }) => name)]);
  const storeTree = dataRoot(store);
  const storePlan = planTar(storeTree);
  const project = projectTree(app, epoch);
  const projectTar = await bytesOf(project);
  const unpacked: readonly Unpacked[] = [
    { entry: `${TORIZON_FILES.app}:${varFolder}/${PROJECT}/:true`, bytes: unpackedSize(project) },
    { entry: `${TORIZON_FILES.store}:${varFolder}/${DOCKER}/:true`, bytes: unpackedSize(storeTree) },
    ...files.flatMap(({ name, unpacked: to }) => (to ? [{ entry: `${name}:${to.folder}:true`, bytes: to.bytes }] : [])),
  ];
  refuseFullRootfs(image, rootfs, unpacked.reduce((sum, { bytes }) => sum + bytes, 0)); // prettier-ignore
  const json = {
    ...image.json,
    ...commonFields(image, { fields, files, product: variant.product, version: variant.version, epoch }, true),
    ...inRootfs(image.json, rootfs.path, unpacked),
  };
  const parts: readonly ArchivePart[] = [
    bytesPart(IMAGE_JSON, Buffer.from(`${JSON.stringify(json, null, 4)}\n`)),
    ...vendorParts(image),
    ...files.map(({ name, bytes }) => bytesPart(name, bytes)),
    bytesPart(TORIZON_FILES.app, projectTar),
    { name: TORIZON_FILES.store, size: storePlan.size, filesystem: storePlan },
  ];
  const changes: readonly RootfsChange[] = [
    ...[...project.entries()].filter(({ type }) => type === 'file').map(({ path }): RootfsChange => ({
      ...{ path: `${varFolder}/${PROJECT}/${path}`, action: 'add' },
      why: path === 'target_name' ? 'which file docker-compose.service starts' : `the app ${app.name}`,
    })),
    { path: `${varFolder}/${DOCKER}`, action: 'add', why: 'the images of the app' },
  ]; // prettier-ignore
  const layout = layoutOfVendor(image, rootfs);
  return {
    ...plannedArchive(variant, parts, (archive) => {
      const vendors = new Set(image.files.map(({ name }) => name));
      const own = archive.parts.filter(({ part }) => !vendors.has(part.name));
      return planPayload(variant, changes, own.map(({ part, start }) => wholePart(part.name, start, part.size))); // prettier-ignore
    }),
    table: { type: layout.type, before: layout.layout, after: layout.layout },
    changes,
    warnings: [
      `by Torizon's contract the apps are in /var of the rootfs (partition ${partition}): there is no store partition, and the device does not verify them`,
    ],
  };
}

/** What docker needs of its data root to have the images; all else it makes itself. */
function dataRoot(store: Tree): Tree {
  const below = (path: string) => path.slice('docker/'.length);
  return {
    *entries() {
      for (const entry of store.entries()) {
        if (!/^docker\/(overlay2|image)(\/|$)/.test(entry.path)) continue;
        yield {
          ...entry,
          path: below(entry.path),
          ...(entry.type === 'hardlink' ? { link: below(entry.link!) } : {}),
        };
      }
    },
  };
}

/**
 * The project as Torizon's service finds it: `target_name` has no newline. The app's own files are named by where they lie here, and
 * the project has the name that the service gives it (`docker-compose -p torizon`).
 */
function projectTree({ name: app, composeBytes: written, files }: App, epoch: number): Tree {
  const text = Buffer.from(written).toString();
  const here = text.replaceAll(`/run/boxship/store/apps/${app}/`, `/var/${PROJECT}/`).replace(/^name: .*\n/m, '');
  const composeBytes = Buffer.from(here);
  const file = (path: string, bytes: Uint8Array, mode: number): TreeEntry => ({
    ...{ path: Buffer.from(path).toString('latin1'), type: 'file', mode, uid: 0, gid: 0 },
    ...{ mtime: epoch, mtimeNanoseconds: 0, size: bytes.length },
    content: { source: { id: `torizon ${path}`, size: bytes.length, open: () => once(bytes) }, offset: 0 },
  });
  const name = 'docker-compose.yml';
  const entries = [file(name, composeBytes, 0o644), file('target_name', Buffer.from(name), 0o644), ...files.map((one) => file(one.path, one.bytes, one.mode))]; // prettier-ignore
  return { entries: () => entries };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function bytesOf(tree: Tree): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of writeTar(tree)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** The devices of image.json with what is unpacked into the rootfs. */
function inRootfs(
  json: NonNullable<BaseImage['tezi']>['json'],
  path: readonly (string | number)[],
  files: readonly Unpacked[],
): Partial<typeof json> {
  const [kind, i, , j] = path as [string, number, string, number];
  if (kind === 'mtddevs') {
    return {
      mtddevs: json.mtddevs!.map((device, at) =>
        at === i ? { ...device, ubivolumes: device.ubivolumes!.map((one, k) => (k === j ? withFiles(one, files) : one)) } : device,
      ),
    }; // prettier-ignore
  }
  return {
    blockdevs: json.blockdevs!.map((device, at) =>
      at === i ? { ...device, partitions: device.partitions!.map((one, k) => (k === j ? withFiles(one, files) : one)) } : device,
    ),
  }; // prettier-ignore
}
