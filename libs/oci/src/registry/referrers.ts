import type { Digest } from '@boxship/model';
import { MANIFEST_SIZE_MAX, parseManifest, type IndexEntry } from '../manifest.ts';
import { mediaTypes } from '../media-type.ts';
import { formatReference, type Reference } from '../reference.ts';
import type { Endpoint } from './endpoint.ts';
import type { RegistryClient } from './registry-client.ts';

/** Tag of the index of referrers on a registry without the referrers API (distribution-spec 1.1 "Referrers Tag Schema"). */
export function referrersTag(subject: Digest): string {
  return subject.replace(':', '-');
}

/**
 * The manifests that refer to `subject`, as the referrers API has them, or the index that its tag names where there is no such
 * API; none when neither is there. Errors: BAD_MANIFEST and those of the registry.
 */
export async function listReferrers(
  client: RegistryClient,
  endpoint: Endpoint,
  reference: Reference,
  subject: Digest,
  signal?: AbortSignal,
): Promise<readonly IndexEntry[]> {
  for (const path of [`referrers/${subject}`, `manifests/${referrersTag(subject)}`]) {
    const response = await client.send(endpoint, {
      repository: reference.repository,
      path,
      headers: { accept: mediaTypes.ociIndex },
      subject: `referrers of ${formatReference(reference)}`,
      accept: [404],
      ...(signal ? { signal } : {}),
    });
    const type = response.header('content-type') ?? '';
    // a registry without the API may answer with a page of its own
    if (response.status === 404 || !type.startsWith(mediaTypes.ociIndex)) {
      response.discard();
      continue;
    }
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > MANIFEST_SIZE_MAX) break; // told by `parseManifest`
      chunks.push(chunk);
    }
    const document = parseManifest(
      Buffer.concat(chunks),
      `the referrers of ${subject} on ${endpoint.host}`,
      'artifact',
    );
    return document.kind === 'index' ? document.manifests : [];
  }
  return [];
}
