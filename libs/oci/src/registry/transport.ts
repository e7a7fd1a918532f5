import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { UserError } from '@boxship/model';
import { proxyFor } from './proxy.ts';
import { trustFor, type TrustOptions } from './trust.ts';

/** Milliseconds without a connection, an answer or a byte before a try counts as failed. */
const CONNECT_TIMEOUT = 30_000;
const SILENCE_TIMEOUT = 60_000;
/** Bytes that are read for nothing rather than opening another connection, TLS and all. */
const DISCARD_MAX = 64 * 1024;

export interface HttpRequest {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Sent once and not again: what a broken connection left is for the caller to find out. */
  readonly once?: boolean;
  readonly signal?: AbortSignal;
}

export interface HttpResponse {
  readonly url: URL;
  readonly status: number;
  /** A header by its lower-case name. */
  header(name: string): string | undefined;
  /** Must be read, destroyed or discarded. */
  readonly body: Readable;
  /** Throws the body away; the connection is kept when that is cheap. */
  discard(): void;
}

/** HTTP as this machine is set up for it: proxies, CAs, client certificates. Redirects are answers like any other. */
export interface Transport {
  send(url: URL, request: HttpRequest): Promise<HttpResponse>;
  close(): Promise<void>;
}

/** Loaded by the first request: it takes as long to start as half of the program, and most commands need no network. */
const undici = () => import('undici');

export function openTransport(trust: TrustOptions): Transport {
  const dispatchers = new Map<string, Promise<Dispatcher>>();
  return {
    async send(url, { method = 'GET', headers = {}, body, signal }) {
      const dispatcher = dispatchers.get(url.origin) ?? openDispatcher(url, trust);
      dispatchers.set(url.origin, dispatcher);
      const { request } = await undici();
      const response = await request(url, {
        method,
        headers: { 'user-agent': 'boxship', 'accept-encoding': 'identity', ...headers },
        dispatcher: await dispatcher,
        ...(body === undefined ? {} : { body }),
        ...(signal ? { signal } : {}),
      });
      response.body.on('error', () => {}); // whoever reads it gets the error; one that nobody reads must not end the process
      return {
        url,
        status: response.statusCode,
        header: (name) => [response.headers[name] ?? []].flat()[0],
        body: response.body,
        discard() {
          const length = Number(response.headers['content-length'] ?? NaN);
          if (length <= DISCARD_MAX) response.body.resume();
          else response.body.destroy();
        },
      };
    },
    async close() {
      for (const dispatcher of dispatchers.values()) await dispatcher.then((one) => one.destroy()).catch(() => {});
    },
  };
}

async function openDispatcher(url: URL, trust: TrustOptions): Promise<Dispatcher> {
  const proxy = proxyFor(url, trust.env);
  const tls = { timeout: CONNECT_TIMEOUT, secureContext: await trustFor(url.host, trust) };
  const timeouts = { headersTimeout: SILENCE_TIMEOUT, bodyTimeout: SILENCE_TIMEOUT };
  const { Agent, ProxyAgent } = await undici();
  if (!proxy) return new Agent({ ...timeouts, connect: tls });
  const proxyTls = { timeout: CONNECT_TIMEOUT, secureContext: await trustFor(proxy.host, trust) };
  // a plain-http registry is asked for, not tunnelled to: proxies allow CONNECT to port 443 only
  return new ProxyAgent({
    ...timeouts,
    uri: proxy.href,
    requestTls: tls,
    proxyTls,
    proxyTunnel: url.protocol === 'https:',
  });
}

/** Errors that another try may not meet: the connection broke, or nothing came. */
export function isTransient(error: unknown): boolean {
  const codes = new Set([
    'ECONNRESET', 'ECONNREFUSED', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EAI_AGAIN',
    'UND_ERR_SOCKET', 'UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_CLOSED',
    'UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'UND_ERR_DESTROYED', 'BLOB_BROKE_OFF',
  ]); // prettier-ignore
  const { code, name } = error as NodeJS.ErrnoException;
  return (code !== undefined && codes.has(code)) || code?.startsWith('HPE_') === true || name === 'HTTPParserError';
}

/** Errors of a server that speaks no TLS, or none that we do. */
export function isNoTls(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return isTransient(error) || code === 'EPROTO' || code === 'UND_ERR_ABORTED' || code?.startsWith('ERR_SSL_') === true;
}

/** The same error in words: what could not be reached, and why. URLs lose their query, which may hold secrets. */
export function connectionError(error: unknown, url: URL, viaProxy: boolean): UserError {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const where = `${url.protocol}//${url.host}`;
  if (/CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)/.test(code)) {
    return new UserError(
      'REGISTRY_TLS',
      `the certificate of ${where} is not trusted: ${code}`,
      `If it is signed by a CA of your own, put that CA's certificate in /etc/docker/certs.d/${url.host}/ca.crt, or name it in SSL_CERT_FILE.`,
    );
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_')) {
    return new UserError('REGISTRY_TLS', `${where} does not speak TLS: ${code}`, `If it really is plain HTTP, allow that for ${url.host}.`); // prettier-ignore
  }
  const reasons: Readonly<Record<string, string>> = {
    ENOTFOUND: 'there is no host of this name', EAI_AGAIN: 'its name cannot be looked up now',
    ECONNREFUSED: 'nothing listens there', UND_ERR_CONNECT_TIMEOUT: 'it does not answer',
    UND_ERR_HEADERS_TIMEOUT: 'it does not answer', UND_ERR_BODY_TIMEOUT: 'it stopped sending',
  }; // prettier-ignore
  const reason = Object.hasOwn(reasons, code) ? reasons[code]! : `${code} ${message}`.trim().slice(0, 200);
  return new UserError(
    'REGISTRY_UNREACHABLE',
    `${where} cannot be reached${viaProxy ? ' through the proxy' : ''}: ${reason}`,
    'Look at the network, at HTTPS_PROXY and NO_PROXY, and at the spelling of the registry.',
  );
}
