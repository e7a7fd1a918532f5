import { resolve } from 'node:path';
import type { Command } from 'commander';
import { pullRelease, pushRelease } from '@boxship/compose';
import { UserError, formatByteSize } from '@boxship/model';
import {
  formatReference,
  ociLayoutTarget,
  openLocalImages,
  parseLocalImages,
  parseReference,
  registrySource,
  registryTarget,
  type ImageSource,
  type Reference,
} from '@boxship/oci';
import { defineAction, examples } from './define-action.ts';
import { readKeyFile } from './import-key.ts';
import { addRegistryOptions, registryOptions, type RegistryFlags } from './registry-options.ts';
import type { Session } from './session.ts';
import { shownPath } from './shown-path.ts';

interface TransferFlags extends RegistryFlags {
  readonly key: string;
}

/** `boxship push`: a release as an OCI artifact. */
export function addPush(program: Command): void {
  const command = addRegistryOptions(
    program
      .command('push')
      .summary('push a release to an OCI registry or layout, its signatures beside it')
      .description(
        'Verifies a release and pushes it as one OCI artifact (image-spec 1.1), every file with its name, so that other tools\n' +
          'pull it, too; the signatures are an artifact that refers to it. What the registry has is not sent again, and a broken\n' +
          'connection goes on where it ended. Logins are those of docker and skopeo.',
      )
      .argument('<release>', 'folder of a release')
      .argument('<to>', 'registry.example.com/acme/gateway:1.4.0, or oci:DIR:tag')
      .requiredOption('--key <file>', 'public key that the release must be signed with'),
  );
  examples(command, [
    [
      'boxship push deploy/acme-gateway-1.4.0/qemux86-64-docker-pro registry.example.com/acme/gateway:1.4.0-pro --key keys/release.pub',
      'to a registry',
    ],
  ]);
  defineAction<TransferFlags, [string, string]>(command, async (session, flags, folder, to) => {
    const publicKeyPem = await readKeyFile(flags.key);
    const { tag, target, shown } = targetOf(to, flags);
    await using opened = target;
    const pushed = await pushRelease(folder, publicKeyPem, opened, tag, session);
    const { artifact, signatures, release } = pushed;
    session.result(
      { reference: shown, artifact, signatures, files: release.files.map(({ name }) => name) },
      `pushed  ${shown}\n  ${artifact.digest}, ${release.files.length} files\n  signatures: ${signatures.digest}\n`,
    );
  });
}

/** `boxship pull`: a release that was pushed, verified. */
export function addPull(program: Command): void {
  const command = addRegistryOptions(
    program
      .command('pull')
      .summary('pull a release from an OCI registry or layout, and verify it')
      .description(
        'Pulls what boxship push has pushed into a folder, which appears whole and verified with the key, or not at all.\n' +
          'A pull that broke off goes on where it ended. boxship update-apps, rebase, flash and verify take the folder.',
      )
      .argument('<from>', 'registry.example.com/acme/gateway:1.4.0 (or @sha256:…), or oci:DIR:tag')
      .argument('<folder>', 'where the release goes; one that is there is replaced')
      .requiredOption('--key <file>', 'public key that the release must be signed with'),
  );
  examples(command, [
    [
      'boxship pull registry.example.com/acme/gateway:1.4.0-pro gateway --key release.pub',
      'in the factory: nothing that the key did not sign comes through',
    ],
  ]);
  defineAction<TransferFlags, [string, string]>(command, async (session, flags, from, folder) => {
    const publicKeyPem = await readKeyFile(flags.key);
    const { reference, source, shown } = await sourceOf(from, flags, session);
    await using opened = source;
    const { release, artifact } = await pullRelease(opened, reference, folder, publicKeyPem, session);
    const rows = release.files.map(({ name, size }) => `  ${name}  ${formatByteSize(size)}\n`).join('');
    session.result(
      { reference: shown, folder: resolve(folder), artifact, release },
      `pulled and verified  ${shown} -> ${shownPath(resolve(folder))}\n${rows}`,
    );
  });
}

/** In a layout an artifact has a tag, and the rest of a reference says nothing. */
const IN_LAYOUT: Reference = { registry: 'localhost', repository: 'layout', tag: 'release' };

function targetOf(to: string, flags: RegistryFlags) {
  if (to.startsWith('oci:')) {
    const { path, name } = parseLocalImages(to);
    if (name === undefined) throw noTag(to);
    return { tag: name, target: ociLayoutTarget(resolve(path)), shown: to };
  }
  const reference = parseReference(to);
  if (reference.digest !== undefined || reference.tag === undefined) throw noTag(to);
  return {
    tag: reference.tag,
    target: registryTarget(reference, registryOptions(flags)),
    shown: formatReference(reference),
  };
}

async function sourceOf(
  from: string,
  flags: RegistryFlags,
  { cache }: Session,
): Promise<{ readonly reference: Reference; readonly source: ImageSource; readonly shown: string }> {
  if (from.startsWith('oci:'))
    return { reference: IN_LAYOUT, source: await openLocalImages(from, { cache }), shown: from };
  const reference = parseReference(from);
  return { reference, source: registrySource(registryOptions(flags)), shown: formatReference(reference) };
}

function noTag(to: string): UserError {
  return new UserError('NO_TAG', `"${to}" names no tag to push to`, 'Add one: registry.example.com/acme/gateway:1.4.0, or oci:DIR:1.4.0.'); // prettier-ignore
}
