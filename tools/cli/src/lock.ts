import type { Command } from 'commander';
import {
  createLock,
  lockDifferences,
  lockPath,
  readApps,
  readLock,
  readProductFile,
  writeLock,
  type Lock,
} from '@boxship/catalog';
import { UserError, formatByteSize, type Problem } from '@boxship/model';
import { fileDownloads, registrySource } from '@boxship/oci';
import { defineAction, examples } from './define-action.ts';
import { addRegistryOptions, registryOptions, type RegistryFlags } from './registry-options.ts';
import { shownPath } from './shown-path.ts';
import { formatTable } from './table.ts';

/** `boxship lock`: every input of the product as a digest, and all of it in the cache. */
export function addLock(program: Command): void {
  const command = addRegistryOptions(
    program
      .command('lock')
      .summary('resolve every input to a digest and bring it into the cache')
      .description(
        'Resolves images and base images to digests, downloads and verifies them into the cache, and writes boxship.lock\n' +
          'beside the product file. Commit that file. No other command needs the network.\n' +
          'Logins are those of docker and skopeo (~/.docker/config.json, $REGISTRY_AUTH_FILE, credential helpers).',
      ),
  ).option('--frozen', 'fetch exactly what boxship.lock says; fail when it does not match the product file');
  examples(command, [
    ['boxship lock', 'resolve the tags as they are today and write boxship.lock'],
    ['boxship lock --frozen', 'on a build server: fill the cache from boxship.lock, change nothing'],
    [
      'boxship lock --registry-mirror docker.io=https://mirror.example.com --ca company-ca.pem',
      'behind a company mirror',
    ],
  ]);
  defineAction<RegistryFlags & { frozen?: true }>(command, async (session, options) => {
    const { cache, progress, signal } = session;
    const product = await readProductFile(session.file);
    const apps = readApps(product, progress);
    const frozen = options.frozen ? await readLock(product.file) : undefined;
    const differences = frozen ? lockDifferences(product, apps, frozen) : [];
    if (differences.length > 0) throw new UserError(differences);

    await using registry = registrySource(registryOptions(options));
    await using downloads = fileDownloads(registryOptions(options));
    const shared = { ...registry, close: async () => {}, [Symbol.asyncDispose]: async () => {} }; // closed once, by us
    const lock = await createLock(product, apps, {
      cache,
      progress,
      signal,
      registry: () => Promise.resolve(shared),
      downloads,
      ...(frozen ? { earlier: frozen } : {}),
    });
    if (frozen) refuseChanged(frozen, lock);
    else await writeLock(product.file, lock);

    const path = lockPath(product.file);
    session.result(
      { file: path, lock },
      `${formatLock(lock)}\n\n${frozen ? 'unchanged' : 'wrote'} ${shownPath(path)}\n`,
    );
  });
}

/** Files and local images can differ from the lock although the product file names them as before. */
function refuseChanged(frozen: Lock, found: Lock): void {
  const problems: Problem[] = [];
  const differs = (message: string) =>
    problems.push({
      code: 'LOCK_MISMATCH',
      message,
      hint: 'Bring back the file that was locked, or run: boxship lock',
    });
  for (const [machine, { digest, from }] of Object.entries(found.bases)) {
    const locked = frozen.bases[machine]?.digest;
    if (locked !== digest) differs(`the base image ${from} has the digest ${digest}, boxship.lock says ${locked}`);
  }
  for (const { reference, platform, manifest } of found.images) {
    const locked = frozen.images.find((image) => image.reference === reference && image.platform === platform);
    if (locked?.manifest.digest !== manifest.digest) {
      differs(
        `${reference} for ${platform} has the manifest ${manifest.digest}, boxship.lock says ${locked?.manifest.digest}`,
      );
    }
  }
  if (problems.length > 0) throw new UserError(problems);
}

function formatLock({ bases, images }: Lock): string {
  const baseRows = Object.entries(bases).map(([machine, { from, digest, size }]) => [
    machine,
    from,
    digest.slice(0, 19),
    formatByteSize(size),
  ]);
  const imageRows = images.map(({ reference, platform, manifest, layers }) => [
    reference,
    platform,
    manifest.digest.slice(0, 19),
    String(layers.length),
    formatByteSize(layers.reduce((sum, { blob }) => sum + blob.size, 0)),
  ]);
  return [
    formatTable(['machine', 'base', 'digest', 'size'], baseRows, [3]),
    formatTable(['image', 'platform', 'manifest', 'layers', 'compressed'], imageRows, [3, 4]),
  ].join('\n\n');
}
