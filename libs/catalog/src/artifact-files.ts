import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { artifactFormat } from '@boxship/formats';
import { UserError, type ArtifactOptions, type Digest, type Problem } from '@boxship/model';
import type { Product } from './product.ts';

/** Digests of the files that artifacts name, by the path as it is written. */
export type ArtifactFiles = ReadonlyMap<string, Digest>;

/** Where a path of the product file leads on this host. */
export function productPath({ file }: Pick<Product, 'file'>, path: string): string {
  return resolve(dirname(file), path);
}

/** Reads what the options of artifacts name: licences, icons. Errors: NO_ARTIFACT_FILE, all at once, each with its line. */
export async function readArtifactFiles(product: Product): Promise<ArtifactFiles> {
  const digests = new Map<string, Digest>();
  const problems = new Map<string, Problem>();
  for (const { options, where } of product.machines.flatMap(({ artifacts }) => artifacts)) {
    for (const option of artifactFormat(options.format).fileOptions ?? []) {
      const path = options[option];
      if (typeof path !== 'string' || digests.has(path)) continue;
      try {
        const bytes = await readFile(productPath(product, path));
        digests.set(path, `sha256:${createHash('sha256').update(bytes).digest('hex')}`);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        const what = { ENOENT: 'is not there', EISDIR: 'is a folder' }[code ?? ''];
        if (!what) throw error;
        problems.set(`${option} ${path}`, {
          code: 'NO_ARTIFACT_FILE',
          message: `${path} of artifacts, ${options.format}, ${option} ${what}`,
          hint: 'Paths are relative to the folder of boxship.yaml.',
          ...(where ? { where } : {}),
        });
      }
    }
  }
  if (problems.size > 0) throw new UserError([...problems.values()]);
  return digests;
}

/** The options with the digest of each file beside its path, as the variant has them. */
export function pinFiles(options: ArtifactOptions, files: ArtifactFiles): ArtifactOptions {
  const pinned: Record<string, string> = {};
  for (const option of artifactFormat(options.format).fileOptions ?? []) {
    const path = options[option];
    const digest = typeof path === 'string' ? files.get(path) : undefined;
    if (digest !== undefined) pinned[`${option}Digest`] = digest;
  }
  return { ...options, ...pinned };
}
