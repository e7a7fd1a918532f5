import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { MiB, UserError, type Descriptor } from '@boxship/model';
import { fileChanged, type ArtifactTarget, type ManifestToPut } from '../artifact-target.ts';
import { sha256Digest } from '../image-source.ts';
import { mediaTypes } from '../media-type.ts';
import { formatReference, type Reference } from '../reference.ts';
import { endpointsOf } from './endpoint.ts';
import { listReferrers, referrersTag } from './referrers.ts';
import { registryClient, type RegistryChange } from './registry-client.ts';
import type { RegistryOptions } from './registry-source.ts';
import { openTransport, type HttpResponse } from './transport.ts';

/** Bytes of one request: what is sent again when a connection breaks, and what is held in memory. */
const CHUNK = 8 * MiB;

/**
 * The repository that `reference` names, over the distribution API (distribution-spec 1.1 "Push"). A blob goes in pieces; after a
 * broken connection the registry is asked how far it came. Errors: as `registrySource`; DIGEST_MISMATCH.
 */
export function registryTarget(reference: Reference, options: RegistryOptions = {}): ArtifactTarget {
  const env = options.env ?? process.env;
  const { caFiles = [], certificateFolders, plainHttp = [], attempts = 6, backoff = 500 } = options;
  const transport = openTransport({ env, caFiles, ...(certificateFolders ? { certificateFolders } : {}) });
  const client = registryClient(transport, { env, attempts, backoff });
  const endpoint = endpointsOf(reference.registry, { mirrors: {}, plainHttp })[0]!; // never to a mirror
  const name = formatReference(reference);
  const send = (request: Partial<RegistryChange> & Pick<RegistryChange, 'path'>) =>
    client.send(endpoint, { repository: reference.repository, headers: {}, subject: name, ...request });

  /** Where the upload goes on, and from which byte. Status 404: the registry has forgotten it. */
  const progressOf = async (location: string, signal: AbortSignal | undefined) => {
    const response = await send({ path: '', location, accept: [404], ...(signal ? { signal } : {}) });
    response.discard();
    if (response.status === 404) return undefined;
    return { location: locationOf(response) ?? location, position: endOfRange(response) };
  };
  const begin = async (signal: AbortSignal | undefined) => {
    const response = await send({
      path: 'blobs/uploads/',
      method: 'POST',
      headers: { 'content-length': '0' },
      ...(signal ? { signal } : {}),
    });
    response.discard();
    const location = locationOf(response);
    if (location === undefined) throw new UserError('REGISTRY_FAILED', `${endpoint.host} does not say where an upload goes`); // prettier-ignore
    const least = Number(response.header('oci-chunk-min-length') ?? 0);
    return { location, chunk: Math.max(CHUNK, Number.isSafeInteger(least) && least < 256 * MiB ? least : 0) };
  };

  const upload = async (
    blob: Descriptor,
    read: (position: number, length: number) => Promise<Uint8Array>,
    onBytes: (count: number) => void,
    signal: AbortSignal | undefined,
  ) => {
    let { location, chunk } = await begin(signal);
    let position = 0;
    let told = 0;
    for (let failures = 0; position < blob.size;) {
      signal?.throwIfAborted();
      const bytes = await read(position, Math.min(chunk, blob.size - position));
      try {
        const response = await send({
          path: '',
          location,
          method: 'PATCH',
          body: bytes,
          once: true,
          headers: {
            'content-type': 'application/octet-stream',
            'content-range': `${position}-${position + bytes.length - 1}`,
            'content-length': String(bytes.length),
          },
          ...(signal ? { signal } : {}),
        });
        response.discard();
        location = locationOf(response) ?? location;
        position += bytes.length;
        failures = 0;
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof UserError) || ++failures >= attempts || !isWorthAnother(error)) throw error;
        await client.pause(failures + 1, signal);
        const found = await progressOf(location, signal);
        if (found) ({ location, position } = found);
        else [{ location, chunk }, position] = [await begin(signal), 0];
      }
      if (position > told) onBytes(position - told);
      told = Math.max(told, position);
    }
    const end = new URL(location, `https://${endpoint.host}`); // relative ones stay so
    end.searchParams.set('digest', blob.digest);
    const last = /^https?:/.test(location) ? end.href : `${end.pathname}${end.search}`;
    const response = await send({
      path: '',
      location: last,
      method: 'PUT',
      headers: { 'content-length': '0' },
      ...(signal ? { signal } : {}),
    });
    response.discard();
  };

  const put = async ({ descriptor, bytes, subject }: ManifestToPut, at: string, signal: AbortSignal | undefined) => {
    const response = await send({
      path: `manifests/${at}`,
      method: 'PUT',
      body: bytes,
      headers: { 'content-type': descriptor.mediaType, 'content-length': String(bytes.length) },
      ...(signal ? { signal } : {}),
    });
    response.discard();
    const told = response.header('docker-content-digest');
    if (told !== undefined && told !== descriptor.digest) {
      throw new UserError('DIGEST_MISMATCH', `${endpoint.host} says that the manifest of ${name} has the digest ${told}, it is ${descriptor.digest}`); // prettier-ignore
    }
    return subject === undefined || response.header('oci-subject') !== undefined;
  };

  /** For registries that do not list referrers by themselves. */
  const putIntoTag = async ({ descriptor, artifactType, subject }: ManifestToPut, signal: AbortSignal | undefined) => {
    const entries = await listReferrers(client, endpoint, reference, subject!.digest, signal);
    if (entries.some(({ digest }) => digest === descriptor.digest)) return;
    const kept = entries.map(({ mediaType, digest, size, artifactType: type, annotations }) => ({
      ...{ mediaType, digest, size },
      ...(type === undefined ? {} : { artifactType: type }),
      ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
    }));
    const manifests = [...kept, { ...descriptor, artifactType }];
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }));
    const index = { mediaType: mediaTypes.ociIndex, digest: sha256Digest(bytes), size: bytes.length };
    await put({ descriptor: index, bytes, artifactType }, referrersTag(subject!.digest), signal);
  };

  return {
    name,
    async hasBlob({ digest, size }, signal) {
      const response = await send({
        path: `blobs/${digest}`,
        method: 'HEAD',
        accept: [404],
        ...(signal ? { signal } : {}),
      });
      response.discard();
      return response.status !== 404 && Number(response.header('content-length') ?? size) === size;
    },
    async putBlob(blob, content, { signal, onBytes = () => {} }) {
      if (typeof content !== 'string') {
        return await upload(blob, (start, length) => Promise.resolve(content.subarray(start, start + length)), onBytes, signal); // prettier-ignore
      }
      const file = await open(content, 'r');
      try {
        const { size } = await file.stat();
        if (size !== blob.size) throw fileChanged(blob, `of ${size} bytes`);
        const hashed = hashingReader(file);
        await upload(blob, hashed.read, onBytes, signal);
        const actual = hashed.digest();
        if (actual !== blob.digest) throw fileChanged(blob, actual); // the registry has refused it as well
      } finally {
        await file.close();
      }
    },
    async putManifest(manifest, signal) {
      const listed = await put(manifest, manifest.tag ?? manifest.descriptor.digest, signal);
      if (!listed) await putIntoTag(manifest, signal);
    },
    [Symbol.asyncDispose]: () => transport.close(),
  };
}

/** A broken connection, or a piece that the registry has already or not yet. */
function isWorthAnother({ code, message }: UserError): boolean {
  return code === 'REGISTRY_UNREACHABLE' || code === 'REGISTRY_BUSY' || /status (416|5\d\d)/.test(message);
}

function locationOf(response: HttpResponse): string | undefined {
  const location = response.header('location');
  return location === undefined ? undefined : new URL(location, response.url).href;
}

/** The first byte that the registry does not have: `Range: 0-<last>`. */
function endOfRange(response: HttpResponse): number {
  const last = /^(?:bytes=)?0-(\d+)$/.exec(response.header('range') ?? '')?.[1];
  return last === undefined || last === '0' ? 0 : Number(last) + 1;
}

/** Reads pieces of a file, and hashes each byte once, in order, however often it is read. */
function hashingReader(file: FileHandle) {
  const hash = createHash('sha256');
  let hashed = 0;
  return {
    async read(position: number, length: number): Promise<Uint8Array> {
      const bytes = Buffer.allocUnsafe(length);
      for (let done = 0; done < length;) {
        const { bytesRead } = await file.read(bytes, done, length - done, position + done);
        if (bytesRead === 0) throw new UserError('FILE_TOO_SHORT', `a file ended at byte ${position + done} while it was pushed`); // prettier-ignore
        done += bytesRead;
      }
      if (position <= hashed && position + length > hashed) {
        hash.update(bytes.subarray(hashed - position));
        hashed = position + length;
      }
      return bytes;
    },
    digest: (): `sha256:${string}` => `sha256:${hash.digest('hex')}`,
  };
}
