import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { withPath, type Cache, type Progress } from '@boxship/host';
import { UserError, type Location } from '@boxship/model';

/** Fetches a URL; the caller's knows proxies and extra certificates. */
export type FetchUrl = (url: string, options: { readonly signal?: AbortSignal }) => Promise<Response>;

export interface DownloadOptions {
  readonly cache: Cache;
  readonly progress: Progress;
  readonly fetchUrl?: FetchUrl;
  readonly signal?: AbortSignal;
}

/**
 * Brings the base image at `url` into the cache (kind `download`, key = its sha256). Nothing is fetched when it is there.
 * Errors: DOWNLOAD_FAILED, WRONG_DIGEST.
 */
export async function downloadBase(
  { url, sha256 }: { readonly url: string; readonly sha256: string },
  { cache, progress, fetchUrl = fetch, signal }: DownloadOptions,
  where?: Location,
): Promise<string> {
  return await cache.get('download', sha256, async (path) => {
    const failed = (error: Error): unknown => {
      if (signal?.aborted || error instanceof UserError || 'syscall' in error) return error; // not of the network
      const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
      const hint = 'Is the address right, and does this machine reach it? Or fetch it by hand and name the file.';
      return new UserError('DOWNLOAD_FAILED', `${url}: ${error.message}${cause}`, hint, where);
    };
    const response = await fetchUrl(url, signal ? { signal } : {}).catch((error: Error) => {
      throw failed(error);
    });
    if (!response.ok || !response.body) {
      throw new UserError(
        'DOWNLOAD_FAILED',
        `${url} answers ${response.status} ${response.statusText}`,
        'Look whether the vendor has moved the file.',
        where,
      );
    }
    const length = Number(response.headers.get('content-length') ?? Number.NaN);
    const step = progress.start(`downloading ${url}`, Number.isFinite(length) ? length : undefined);
    const file = await open(path, 'wx');
    try {
      const hash = createHash('sha256');
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        hash.update(chunk);
        await file.writeFile(chunk).catch((error: unknown) => {
          throw withPath(error, path);
        });
        step.advance(chunk.length);
      }
      const digest = hash.digest('hex');
      if (digest !== sha256) {
        throw new UserError(
          'WRONG_DIGEST',
          `${url} has the sha256 ${digest}, boxship.yaml says ${sha256}`,
          'The vendor replaced the file, or it was changed on its way. If it is what you want, write the new sha256.',
          where,
        );
      }
      await file.sync();
    } catch (error) {
      throw failed(error as Error);
    } finally {
      step.end();
      await file.close();
    }
  });
}
