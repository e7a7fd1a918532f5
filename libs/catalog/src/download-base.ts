import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { Cache, Progress } from '@boxship/host';
import { UserError, type Location } from '@boxship/model';

/** Fetches a URL; the caller's knows proxies and extra certificates. */
export type FetchUrl = (url: string) => Promise<Response>;

/**
 * Brings the base image at `url` into the cache (kind `download`, key = its sha256). Nothing is fetched when it is there.
 * Errors: DOWNLOAD_FAILED, WRONG_DIGEST.
 */
export async function downloadBase(
  { url, sha256 }: { readonly url: string; readonly sha256: string },
  { cache, progress, fetchUrl = fetch }: { cache: Cache; progress: Progress; fetchUrl?: FetchUrl },
  where?: Location,
): Promise<string> {
  return await cache.get('download', sha256, async (path) => {
    const response = await fetchUrl(url).catch((error: Error) => {
      const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
      throw new UserError(
        'DOWNLOAD_FAILED',
        `${url}: ${error.message}${cause}`,
        'Is the address right, and is a proxy needed (HTTPS_PROXY)?',
        where,
      );
    });
    if (!response.ok || !response.body) {
      throw new UserError(
        'DOWNLOAD_FAILED',
        `${url} answers ${response.status} ${response.statusText}`,
        undefined,
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
        await file.writeFile(chunk);
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
    } finally {
      step.end();
      await file.close();
    }
  });
}
