import { UserError } from '@boxship/model';
import { patientRequests } from './patient-requests.ts';
import type { RegistryOptions } from './registry-source.ts';
import { isTransient, openTransport, type HttpResponse } from './transport.ts';

/** A try that brought this many bytes was a good one: the count of failures starts anew. */
const GOOD_PROGRESS = 64 * 1024;

export interface OpenFileOptions {
  /** Bytes that are here already. */
  readonly offset?: number;
  readonly signal?: AbortSignal;
  /** Hears the size of the whole file, undefined when the server does not tell, before the first byte. */
  readonly onSize?: (size: number | undefined) => void;
}

/** Files from web servers, through the same proxies, CAs and client certificates as images from registries. */
export interface FileDownloads extends AsyncDisposable {
  /**
   * The bytes of the file at `url` from `offset` on, taken up again with Range requests when the connection breaks. Nothing
   * says that it is still the same file then: the caller knows a digest. No message shows a password or the query of `url`.
   * Errors: DOWNLOAD_FAILED, REGISTRY_UNREACHABLE, REGISTRY_TLS, REGISTRY_FAILED, BAD_CERTIFICATE, BAD_PROXY.
   */
  open(url: string, options?: OpenFileOptions): AsyncGenerator<Uint8Array>;
  close(): Promise<void>;
}

export function fileDownloads(
  options: Pick<RegistryOptions, 'env' | 'caFiles' | 'certificateFolders' | 'attempts' | 'backoff'> = {},
): FileDownloads {
  const { env = process.env, caFiles = [], certificateFolders, attempts = 6, backoff = 500 } = options;
  const transport = openTransport({ env, caFiles, ...(certificateFolders ? { certificateFolders } : {}) });
  const requests = patientRequests(transport, { env, attempts, backoff });
  const close = () => transport.close();
  return {
    async *open(text, { offset = 0, signal, onSize }: OpenFileOptions = {}) {
      const { url, headers } = splitLogin(text);
      let position = offset;
      let good = position;
      for (let failures = 0; ;) {
        const range = position > 0 ? { range: `bytes=${position}-` } : {};
        const response = await requests.send(url, { headers: { ...headers, ...range }, ...(signal ? { signal } : {}) });
        try {
          const { size, skip } = partOf(response, position, url);
          onSize?.(size);
          let unwanted = skip;
          for await (const chunk of response.body as AsyncIterable<Buffer>) {
            const rest = unwanted > 0 ? chunk.subarray(Math.min(unwanted, chunk.length)) : chunk;
            unwanted -= chunk.length - rest.length;
            if (rest.length === 0) continue;
            position += rest.length;
            yield rest;
          }
          if (size === undefined || position >= size) return;
          throw Object.assign(new Error('the answer ended early'), { code: 'BLOB_BROKE_OFF' });
        } catch (error) {
          signal?.throwIfAborted();
          if (!isTransient(error)) throw error;
          if (position - good >= GOOD_PROGRESS) failures = 0;
          good = position;
          if (++failures >= attempts) {
            throw new UserError('DOWNLOAD_FAILED', `the connection to ${url.host} broke ${failures} times; ${position} bytes are here`, 'Run the command again: it goes on where this one ended.'); // prettier-ignore
          }
          await requests.pause(failures + 1, signal);
        } finally {
          response.body.destroy();
        }
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** A name and password in the URL go into a header, which no redirect to another host takes along. */
function splitLogin(text: string): { url: URL; headers: Readonly<Record<string, string>> } {
  const url = new URL(text);
  const { username, password } = url;
  url.username = '';
  url.password = '';
  if (username === '') return { url, headers: {} };
  const login = `${unescape(username)}:${unescape(password)}`;
  return { url, headers: { authorization: `Basic ${Buffer.from(login).toString('base64')}` } };
}

/** A "%" that begins no escape stands for itself. */
function unescape(text: string): string {
  return Buffer.from(
    text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString();
}

/** Size of the whole file, and how many bytes of the answer are here already (RFC 9110 sections 14.4, 15.3.7, 15.5.17). */
function partOf(response: HttpResponse, position: number, url: URL): { size: number | undefined; skip: number } {
  const range = response.header('content-range') ?? '';
  if (response.status === 206) {
    const [, first, size] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(range) ?? [];
    if (Number(first) === position) return { size: size === '*' ? undefined : Number(size), skip: 0 };
    throw new UserError(
      'DOWNLOAD_FAILED',
      `${url.host} sent another part of the file than it was asked for`,
      'Try again.',
    );
  }
  if (response.status === 200) {
    const length = response.header('content-length');
    return { size: length === undefined ? undefined : Number(length), skip: position };
  }
  // nothing behind what is here: all of it, or of another file, as its digest will show
  if (response.status === 416 && position > 0) return { size: position, skip: Infinity };
  throw new UserError('DOWNLOAD_FAILED', `${url.host} answers ${response.status}`, 'Look whether the vendor has moved the file, or wants a login.'); // prettier-ignore
}
