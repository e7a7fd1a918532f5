import { isDigest, UserError, type Descriptor, type Digest } from '@boxship/model';
import { sha256Digest, sizeMismatch, digestMismatch, type FoundManifest, type ImageSource } from '../image-source.ts';
import { MANIFEST_SIZE_MAX, parseManifest, type ManifestKind } from '../manifest.ts';
import { mediaTypes } from '../media-type.ts';
import { formatReference, familiarName, type Reference } from '../reference.ts';
import { endpointsOf, type Endpoint } from './endpoint.ts';
import type { Environment } from './proxy.ts';
import { listReferrers } from './referrers.ts';
import { registryClient, type RegistryClient } from './registry-client.ts';
import { isTransient, openTransport, type HttpResponse } from './transport.ts';

/** Downloads at once from all registries together. */
const PARALLEL = 4;
/** A try that brought this many bytes was a good one: the count of failures starts anew. */
const GOOD_PROGRESS = 64 * 1024;

export interface RegistryOptions {
  /** Proxies, credential files and helpers, CAs. Default: `process.env`. */
  readonly env?: Environment;
  /** PEM files with CA certificates to trust besides the system's. */
  readonly caFiles?: readonly string[];
  /** Folders as /etc/docker/certs.d, instead of the usual ones. */
  readonly certificateFolders?: readonly string[];
  /** Registry to base URLs of its mirrors, which are asked first: `{ 'docker.io': ['https://mirror.example.com'] }`. */
  readonly mirrors?: Readonly<Record<string, readonly string[]>>;
  /** Registries (`name[:port]`) that may be asked without TLS when they have none. This machine always may. */
  readonly plainHttp?: readonly string[];
  /** Tries of one request before it counts as failed. Default: 6. */
  readonly attempts?: number;
  /** Milliseconds before the second try; doubled for each further one, with jitter. Default: 500. */
  readonly backoff?: number;
}

/**
 * Every registry that speaks the distribution API (OCI distribution-spec 1.1 "Pull"), as the reference names it.
 * Errors: IMAGE_NOT_FOUND, REGISTRY_AUTH, REGISTRY_BUSY, REGISTRY_FAILED, REGISTRY_TLS, REGISTRY_UNREACHABLE,
 * BAD_AUTH_FILE, CREDENTIAL_HELPER, BAD_CERTIFICATE, BAD_MIRROR, BAD_PROXY. No message shows a secret.
 */
export function registrySource(options: RegistryOptions = {}): ImageSource {
  const env = options.env ?? process.env;
  const { caFiles = [], certificateFolders, mirrors = {}, plainHttp = [], attempts = 6, backoff = 500 } = options;
  const transport = openTransport({ env, caFiles, ...(certificateFolders ? { certificateFolders } : {}) });
  const client = registryClient(transport, { env, attempts, backoff });
  const distrusted = new Map<Digest, Set<string>>();
  const served = new Map<Digest, Set<Endpoint>>();
  const slots = semaphore(PARALLEL);
  const endpoints = (reference: Reference) => endpointsOf(reference.registry, { mirrors, plainHttp });
  const close = () => transport.close();
  return {
    name: 'the registry',
    parallel: PARALLEL,
    find: (reference, signal, as = 'image') =>
      firstThatWorks(endpoints(reference), signal, (endpoint) =>
        findAt(client, endpoint, reference, as, attempts, signal),
      ),
    referrers: (reference, subject, artifactType, signal) =>
      firstThatWorks(endpoints(reference), signal, async (endpoint) => {
        const index = await listReferrers(client, endpoint, reference, subject, signal);
        return index.filter((entry) => entry.artifactType === artifactType).map(({ digest }) => digest);
      }),
    async *openBlob(reference, blob, { offset = 0, signal }) {
      const release = await slots();
      try {
        let position = offset;
        const failures: UserError[] = [];
        const usable = endpoints(reference).filter(({ host }) => !distrusted.get(blob.digest)?.has(host));
        for (const endpoint of usable) {
          served.set(blob.digest, (served.get(blob.digest) ?? new Set()).add(endpoint));
          try {
            for await (const chunk of readBlob(client, endpoint, reference, blob, { position, attempts, signal })) {
              yield chunk;
              position += chunk.length;
            }
            return;
          } catch (error) {
            signal?.throwIfAborted();
            if (!(error instanceof UserError)) throw error;
            failures.push(error);
          }
        }
        throw allFailed(failures);
      } finally {
        release();
      }
    },
    distrust(blob) {
      const mirrors = [...(served.get(blob.digest) ?? [])].filter((endpoint) => endpoint.isMirror);
      const hosts = distrusted.get(blob.digest) ?? new Set();
      const before = hosts.size;
      for (const { host } of mirrors) hosts.add(host);
      distrusted.set(blob.digest, hosts);
      return hosts.size > before;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** What the first endpoint gives that can; when none can, the error of the last, the registry itself. */
async function firstThatWorks<T>(
  endpoints: readonly Endpoint[],
  signal: AbortSignal | undefined,
  ask: (endpoint: Endpoint) => Promise<T>,
): Promise<T> {
  const failures: UserError[] = [];
  for (const endpoint of endpoints) {
    try {
      return await ask(endpoint);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof UserError)) throw error;
      failures.push(error);
    }
  }
  throw allFailed(failures);
}

/** The registry's own error, and what its mirrors said. */
function allFailed(failures: readonly UserError[]): UserError {
  return failures.length === 1
    ? failures[0]!
    : new UserError([...failures].reverse().flatMap(({ problems }) => problems));
}

async function findAt(
  client: RegistryClient,
  endpoint: Endpoint,
  reference: Reference,
  as: ManifestKind,
  attempts: number,
  signal: AbortSignal | undefined,
): Promise<FoundManifest> {
  const { repository, tag, digest } = reference;
  const subject = `manifest of ${familiarName(reference)}`;
  const accept = [
    mediaTypes.ociIndex,
    mediaTypes.dockerManifestList,
    mediaTypes.ociManifest,
    mediaTypes.dockerManifest,
  ];
  const request = {
    repository,
    path: `manifests/${digest ?? tag ?? 'latest'}`,
    headers: { accept: accept.join(', ') },
    subject: formatReference(reference),
    ...(signal ? { signal } : {}),
  };
  let response = await client.get(endpoint, request);
  let bytes = await readManifestBytes(response, subject, endpoint);
  for (let attempt = 2; !bytes; attempt++) {
    if (attempt > attempts) throw new UserError('REGISTRY_UNREACHABLE', `the connection to ${endpoint.host} broke ${attempts} times while the ${subject} came`, 'Try again later.'); // prettier-ignore
    await client.pause(attempt, signal);
    response = await client.get(endpoint, request);
    bytes = await readManifestBytes(response, subject, endpoint);
  }
  const actual = sha256Digest(bytes);
  const told = response.header('docker-content-digest');
  const expected = digest ?? (told !== undefined && isDigest(told) ? told : actual);
  if (actual !== expected) throw digestMismatch(subject, expected, actual, endpoint.host);
  const document = parseManifest(bytes, `the ${subject}`, as);
  const descriptor = { mediaType: document.mediaType, digest: actual, size: bytes.length };
  return { descriptor, bytes, document, origin: 'source' };
}

/** The body of the answer; undefined when the connection broke. */
async function readManifestBytes(
  response: HttpResponse,
  subject: string,
  { host }: Endpoint,
): Promise<Uint8Array | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response.body) {
      chunks.push(chunk as Buffer);
      length += (chunk as Buffer).length;
      if (length > MANIFEST_SIZE_MAX) throw new UserError('BAD_MANIFEST', `the ${subject} from ${host} has more than ${MANIFEST_SIZE_MAX} bytes`); // prettier-ignore
    }
  } catch (error) {
    if (isTransient(error)) return undefined;
    throw error;
  }
  return Buffer.concat(chunks);
}

/** The bytes of a blob from `position` on, taken up again with Range requests when the connection breaks. */
async function* readBlob(
  client: RegistryClient,
  endpoint: Endpoint,
  reference: Reference,
  blob: Descriptor,
  start: { position: number; attempts: number; signal: AbortSignal | undefined },
): AsyncGenerator<Uint8Array> {
  const { signal, attempts } = start;
  const subject = `blob ${blob.digest} of ${familiarName(reference)}`;
  let { position } = start;
  let good = position;
  for (let failures = 0; position < blob.size;) {
    const response = await client.get(endpoint, {
      repository: reference.repository,
      path: `blobs/${blob.digest}`,
      headers: position > 0 ? { range: `bytes=${position}-` } : {},
      subject,
      ...(signal ? { signal } : {}),
    });
    try {
      let skip = bytesToSkip(response, position, blob, subject, endpoint);
      for await (const chunk of response.body as AsyncIterable<Buffer>) {
        const rest = skip > 0 ? chunk.subarray(Math.min(skip, chunk.length)) : chunk;
        skip -= chunk.length - rest.length;
        if (rest.length === 0) continue;
        position += rest.length;
        yield rest;
      }
      if (position < blob.size) throw Object.assign(new Error('the answer ended early'), { code: 'BLOB_BROKE_OFF' });
    } catch (error) {
      signal?.throwIfAborted();
      if (!isTransient(error)) throw error;
      if (position - good >= GOOD_PROGRESS) failures = 0;
      good = position;
      if (++failures >= attempts) {
        throw new UserError('REGISTRY_UNREACHABLE', `the connection to ${endpoint.host} broke ${failures} times while ${subject} came; ${position} of ${blob.size} bytes are here`, 'Run the command again: it goes on where this one ended.'); // prettier-ignore
      }
      await client.pause(failures + 1, signal);
    } finally {
      response.body.destroy();
    }
  }
}

/** Bytes of the answer that are here already: none for a partial answer (RFC 9110 section 15.3.7), else all of them. */
function bytesToSkip(
  response: HttpResponse,
  position: number,
  blob: Descriptor,
  subject: string,
  { host }: Endpoint,
): number {
  if (response.status === 206) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.header('content-range') ?? '');
    if (range && Number(range[1]) === position) return 0;
    throw new UserError(
      'REGISTRY_FAILED',
      `${host} sent another part of ${subject} than it was asked for`,
      'Try again.',
    );
  }
  const length = response.header('content-length');
  if (length !== undefined && Number(length) !== blob.size) throw sizeMismatch(subject, blob.size, length, host);
  return position;
}

/** Lets `count` in at once; the function waits for a place and returns how to leave it. */
function semaphore(count: number): () => Promise<() => void> {
  let free = count;
  const waiting: (() => void)[] = [];
  return async () => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    return () => {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    };
  };
}
