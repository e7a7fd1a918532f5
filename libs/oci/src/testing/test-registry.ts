import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { readdir, readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { sha256Digest } from '../image-source.ts';

/** What a request may meet instead of its answer. */
export type Fault =
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    }
  /** The connection ends after so many bytes of the body. */
  | { readonly kind: 'cut'; readonly after: number }
  /** As long as it should be, with its first byte flipped. */
  | { readonly kind: 'wrongBytes' }
  /** Longer than it should be, and sent without a length. */
  | { readonly kind: 'tooLong' }
  | { readonly kind: 'redirect'; readonly location: string }
  /** No answer ever comes. */
  | { readonly kind: 'stall' }
  /** Range headers are taken no notice of. */
  | { readonly kind: 'noRange' };

export interface TestRegistryOptions {
  readonly auth?: 'none' | 'basic' | 'bearer';
  readonly username?: string;
  readonly password?: string;
  /** Seconds a token is good for. Default: 300. */
  readonly tokenSeconds?: number;
  /** PEM; makes it an https registry. */
  readonly tls?: { readonly key: string; readonly cert: string };
}

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
}

/** A registry in memory that serves OCI layouts over the distribution API, on a port of this machine, for tests. */
export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly host: string;
  readonly url: string;
  /** Every request so far, token requests too. */
  readonly requests: SeenRequest[];
  /** Serves every image of a layout folder as `repository`, its index entries by the tag of their names. */
  addLayout(folder: string, repository: string): Promise<void>;
  addManifest(repository: string, name: string, bytes: Uint8Array, mediaType: string): void;
  /** Asked before each answer; a fault that it gives is met instead. */
  setFaults(choose: (path: string, request: IncomingMessage) => Fault | undefined): void;
  /** From now on no token given before is good. */
  forgetTokens(): void;
  close(): Promise<void>;
}

interface Item {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
}

export async function startTestRegistry(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const { auth = 'none', username = 'user', password = 'secret', tokenSeconds = 300, tls } = options;
  const items = new Map<string, Item>();
  const requests: SeenRequest[] = [];
  const tokens = new Map<string, number>();
  let choose: (path: string, request: IncomingMessage) => Fault | undefined = () => undefined;
  const basic = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  let url = '';

  const giveToken = async (request: IncomingMessage, response: ServerResponse) => {
    const form = new URLSearchParams(request.method === 'POST' ? await readText(request) : '');
    if (request.headers.authorization !== basic && form.get('refresh_token') !== password) return sendError(response, 401, 'wrong credentials'); // prettier-ignore
    const token = `token-${tokens.size}-${Math.random().toString(36).slice(2)}`;
    tokens.set(token, Date.now() + tokenSeconds * 1000);
    sendJson(response, 200, { token, expires_in: tokenSeconds });
  };
  const isAllowed = (header: string | undefined): boolean => {
    if (auth === 'none') return true;
    if (auth === 'basic') return header === basic;
    return (tokens.get(header?.replace(/^Bearer /, '') ?? '') ?? 0) > Date.now();
  };

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    requests.push({ method: request.method ?? '', path: request.url ?? '', headers: request.headers });
    const fault = choose(path, request);
    if (fault?.kind === 'status') {
      response.writeHead(fault.status, fault.headers).end(fault.body);
      return;
    }
    if (fault?.kind === 'stall') return;
    if (fault?.kind === 'redirect') {
      response.writeHead(307, { location: fault.location }).end();
      return;
    }
    if (path === '/token') return await giveToken(request, response);
    if (!isAllowed(request.headers.authorization)) {
      const challenge = auth === 'basic' ? 'Basic realm="test"' : `Bearer realm="${url}/token",service="test"`;
      response.setHeader('www-authenticate', challenge);
      return sendError(response, 401, 'authentication required');
    }
    if (path === '/v2/') return sendJson(response, 200, {});
    const item = items.get(path);
    if (!item) return sendError(response, 404, `${path} is unknown`);
    serve(request, response, item, fault);
  };
  const listener: RequestListener = (request, response) => void answer(request, response);
  const server = tls ? createHttpsServer(tls, listener) : createHttpServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  url = `${tls ? 'https' : 'http'}://${host}`;
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  const addManifest = (repository: string, name: string, bytes: Uint8Array, mediaType: string) => {
    for (const key of [name, sha256Digest(bytes)])
      items.set(`/v2/${repository}/manifests/${key}`, { bytes, mediaType });
  };
  return {
    host,
    url,
    requests,
    addManifest,
    async addLayout(folder, repository) {
      for (const name of await readdir(join(folder, 'blobs/sha256'))) {
        const bytes = await readFile(join(folder, 'blobs/sha256', name));
        items.set(`/v2/${repository}/blobs/sha256:${name}`, { bytes, mediaType: 'application/octet-stream' });
        const mediaType = manifestType(bytes);
        if (mediaType) addManifest(repository, `sha256:${name}`, bytes, mediaType);
      }
      const index = JSON.parse(await readFile(join(folder, 'index.json'), 'utf8')) as LayoutIndex;
      for (const { digest, mediaType, annotations } of index.manifests) {
        const tag = /([^:/]+)$/.exec(annotations?.['org.opencontainers.image.ref.name'] ?? 'latest')![1]!;
        addManifest(repository, tag, await readFile(join(folder, 'blobs/sha256', digest.slice(7))), mediaType);
      }
    },
    setFaults: (next) => (choose = next),
    forgetTokens: () => tokens.clear(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

interface LayoutIndex {
  readonly manifests: readonly { digest: string; mediaType: string; annotations?: Record<string, string> }[];
}

function manifestType(bytes: Buffer): string | undefined {
  if (bytes[0] !== 0x7b) return undefined;
  const { mediaType } = JSON.parse(bytes.toString('utf8')) as { mediaType?: string };
  return mediaType;
}

function serve(request: IncomingMessage, response: ServerResponse, item: Item, fault: Fault | undefined): void {
  const { mediaType } = item;
  let bytes = Buffer.from(item.bytes);
  response.setHeader('content-type', mediaType);
  response.setHeader('docker-content-digest', sha256Digest(bytes));
  if (fault?.kind === 'wrongBytes') bytes[0]! ^= 1;
  const range = fault?.kind === 'noRange' ? undefined : /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1];
  const from = Number(range ?? 0);
  if (range !== undefined) response.setHeader('content-range', `bytes ${from}-${bytes.length - 1}/${bytes.length}`);
  response.statusCode = range === undefined ? 200 : 206;
  bytes = bytes.subarray(from);
  if (request.method === 'HEAD') {
    response.setHeader('content-length', bytes.length);
    response.end();
  } else if (fault?.kind === 'tooLong') {
    response.write(bytes);
    response.end('and more');
  } else if (fault?.kind === 'cut') {
    response.setHeader('content-length', bytes.length);
    response.write(bytes.subarray(0, fault.after), () => response.destroy());
  } else {
    response.setHeader('content-length', bytes.length);
    response.end(bytes);
  }
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function sendError(response: ServerResponse, status: number, message: string): void {
  sendJson(response, status, { errors: [{ code: 'TEST', message }] });
}
