import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { withPath, type Cache, type Progress, type ProgressStep } from '@boxship/host';
import { UserError, type Location } from '@boxship/model';
import { claimPartial, leavePartial, removePartial, type FileDownloads } from '@boxship/oci';

/** Cache kind of downloaded base images; the key is their sha256. */
export const DOWNLOAD_KIND = 'download';

export interface DownloadOptions {
  readonly cache: Cache;
  readonly progress: Progress;
  readonly downloads: FileDownloads;
  readonly signal?: AbortSignal;
}

/**
 * Brings the base image at `url` into the cache. Nothing is fetched when it is there; what broke off, in this run or an
 * earlier one, is taken up where it ended. Errors: DOWNLOAD_FAILED, WRONG_DIGEST.
 */
export async function downloadBase(
  { url, sha256 }: { readonly url: string; readonly sha256: string },
  options: DownloadOptions,
  where?: Location,
): Promise<string> {
  const { cache } = options;
  if (!URL.canParse(url)) throw new UserError('DOWNLOAD_FAILED', `"${url}" is not a URL`, undefined, where);
  const file = cache.path(DOWNLOAD_KIND, sha256);
  const shown = withoutSecrets(url);
  while (!(await cache.has(DOWNLOAD_KIND, sha256))) {
    const aside = await claimPartial(file);
    const { actual, resumed } = await receive(url, shown, aside, options).catch((error: unknown) => {
      throw options.signal?.aborted ? error : asFailure(error, shown, where);
    });
    if (actual === sha256) {
      await rename(aside, file);
      break;
    }
    await removePartial(aside);
    if (resumed) continue; // the part that was here may be at fault
    throw new UserError(
      'WRONG_DIGEST',
      `${shown} has the sha256 ${actual}, boxship.yaml says ${sha256}`,
      'The vendor replaced the file, or it was changed on its way. If it is what you want, write the new sha256.',
      where,
    );
  }
  return file;
}

/** Writes the file at `aside`; says its sha256 and whether its first part was there before. */
async function receive(
  url: string,
  shown: string,
  aside: string,
  { downloads, progress, signal }: DownloadOptions,
): Promise<{ actual: string; resumed: boolean }> {
  const hash = createHash('sha256');
  const handle = await open(aside, 'a');
  let step: ProgressStep | undefined;
  let position = 0;
  try {
    const start = (await handle.stat()).size;
    if (start > 0) for await (const chunk of createReadStream(aside)) hash.update(chunk as Buffer);
    position = start;
    const onSize = (size: number | undefined) => {
      if (step) return;
      step = progress.start(`downloading ${shown}`, size);
      step.advance(start);
    };
    for await (const chunk of downloads.open(url, { offset: start, onSize, ...(signal ? { signal } : {}) })) {
      hash.update(chunk);
      await handle.writeFile(chunk).catch((error: unknown) => {
        throw withPath(error, aside);
      });
      position += chunk.length;
      step?.advance(chunk.length);
    }
    await handle.datasync();
    return { actual: hash.digest('hex'), resumed: start > 0 };
  } catch (error) {
    if (position > 0) leavePartial(aside);
    else await removePartial(aside);
    throw error;
  } finally {
    step?.end();
    await handle.close();
  }
}

/** The network's errors with the URL and the line of boxship.yaml; those of this machine's files as they are. */
function asFailure(error: unknown, shown: string, where: Location | undefined): unknown {
  if (!(error instanceof UserError)) return error;
  const isNetwork = /^(DOWNLOAD|REGISTRY)_/.test(error.code);
  return new UserError(
    error.problems.map((problem) => ({
      ...problem,
      ...(isNetwork ? { code: 'DOWNLOAD_FAILED', message: `${shown}: ${problem.message}` } : {}),
      ...(problem.code === 'REGISTRY_UNREACHABLE'
        ? { hint: 'Is the address right? Look at HTTPS_PROXY and NO_PROXY. Or fetch it by hand and name the file.' }
        : {}),
      ...(where ? { where } : {}),
    })),
  );
}

/** A URL for people: a password or a signature in it is nobody's business. */
function withoutSecrets(text: string): string {
  const { protocol, host, pathname } = new URL(text);
  return `${protocol}//${host}${pathname}`;
}
