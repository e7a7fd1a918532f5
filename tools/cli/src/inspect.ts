import type { Command } from 'commander';
import { inspectPath, type Inspection, type SignatureState } from '@boxship/inspect';
import { defineAction, examples } from './define-action.ts';
import { exitCodes } from './exit-codes.ts';
import { readKeyFile } from './import-key.ts';
import { formatInspection } from './inspect-report.ts';

/** `boxship inspect`: what is in this file? */
export function addInspect(program: Command): void {
  const command = program
    .command('inspect')
    .summary('show what is in an image, an artifact, a release, a store or an archive of images')
    .description(
      'Shows partitions, file systems, the system and its container engines, and the images and apps in stores: of base images,\n' +
        'artifacts and releases of Boxship, file systems, OCI layouts and archives, docker save archives. Reads the tables and\n' +
        'directories alone; only what is compressed is made plain once, in the cache. Digests of contents are for boxship verify.\n' +
        'Needs no product file.',
    )
    .argument('<path>', 'file or folder')
    .option('--key <file>', 'public key: also say whether signatures hold (code 3 when one does not)');
  examples(command, [
    ['boxship inspect bsp/vendor.wic', "partitions, system and engines of a vendor's image"],
    ['boxship inspect deploy/acme-gateway-1.4.0/qemux86-64-docker-basic --key keys/release.pub', 'a release and its signature'],
    ['boxship inspect gateway.img --json', 'one JSON document with a version, for scripts'],
    ['boxship inspect apps.tar', 'images in an archive of docker save, podman save or buildx'],
  ]); // prettier-ignore
  defineAction<{ key?: string }, [string]>(command, async (session, { key }, path) => {
    const publicKeyPem = key === undefined ? undefined : await readKeyFile(key);
    const inspection = await inspectPath(path, {
      cache: session.cache,
      progress: session.progress,
      ...(publicKeyPem === undefined ? {} : { publicKeyPem }),
    });
    session.result(inspection, formatInspection(inspection));
    const wrong = publicKeyPem !== undefined && signatures(inspection).some((state) => state === 'bad' || state === 'missing');
    return wrong ? exitCodes.verificationFailed : exitCodes.ok;
  }); // prettier-ignore
}

function signatures({ release, filesystem, devices }: Inspection): readonly SignatureState[] {
  const filesystems = [filesystem, ...(devices ?? []).flatMap(({ partitions }) => partitions.map((one) => one.filesystem))];
  const stores = filesystems.flatMap((one) => (one?.store ? [one.store.signature] : []));
  return [...(release ? [release.signature] : []), ...stores];
} // prettier-ignore
