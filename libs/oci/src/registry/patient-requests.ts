import { setTimeout as delay } from 'node:timers/promises';
import { UserError } from '@boxship/model';
import { proxyFor, type Environment } from './proxy.ts';
import { connectionError, isTransient, type HttpRequest, type HttpResponse, type Transport } from './transport.ts';

const REDIRECTS_MAX = 10;
/** Seconds that a server may ask us to wait; rate limits of hours are told instead. */
const RETRY_AFTER_MAX = 120;
const BACKOFF_MAX = 30_000;

/** How long a server is given. */
export interface Patience {
  readonly env: Environment;
  /** Tries of one request before it counts as failed. */
  readonly attempts: number;
  /** Milliseconds before the second try; doubled for each further one, with jitter. */
  readonly backoff: number;
}

/** Requests with redirects and retries done. */
export interface PatientRequests {
  /** The answer that another try would not change. Errors: REGISTRY_UNREACHABLE, REGISTRY_TLS, REGISTRY_FAILED. */
  send(url: URL, request: HttpRequest): Promise<HttpResponse>;
  /** Waits before try `attempt` (from 2 on), longer each time, `atLeast` milliseconds. */
  pause(attempt: number, signal?: AbortSignal, atLeast?: number): Promise<void>;
}

export function patientRequests(transport: Transport, options: Patience): PatientRequests {
  const pause = async (attempt: number, signal?: AbortSignal, atLeast = 0) => {
    const backoff = Math.min(BACKOFF_MAX, options.backoff * 2 ** (attempt - 2));
    // half of it fixed, half of it chance, so that a hundred builds do not come back at once
    const wait = Math.max(atLeast, backoff * (0.5 + Math.random() / 2));
    await delay(wait, undefined, signal ? { signal } : {});
  };

  /** Sends until an answer comes that another try would not change. */
  const send = async (url: URL, request: HttpRequest): Promise<HttpResponse> => {
    const attempts = request.once ? 1 : options.attempts;
    for (let attempt = 1; ; attempt++) {
      let response: HttpResponse;
      let asked = url;
      try {
        response = await sendFollowing(transport, url, request, (hop) => (asked = hop));
      } catch (error) {
        request.signal?.throwIfAborted();
        if (error instanceof UserError) throw error;
        if (attempt < attempts && isTransient(error)) {
          await pause(attempt + 1, request.signal);
          continue;
        }
        throw connectionError(error, asked, proxyFor(asked, options.env) !== undefined);
      }
      const busy = response.status === 429 || [408, 500, 502, 503, 504].includes(response.status);
      const wait = retryAfter(response);
      if (!busy || attempt >= attempts || wait > RETRY_AFTER_MAX) return response;
      response.discard();
      await pause(attempt + 1, request.signal, wait * 1000);
    }
  };
  return { send, pause };
}

/** Follows redirects; secrets go to the first host alone (they are for the registry, not for its blob storage). */
async function sendFollowing(
  transport: Transport,
  first: URL,
  request: HttpRequest,
  onHop: (url: URL) => void,
): Promise<HttpResponse> {
  let url = first;
  let current = request;
  for (let hops = 0; hops <= REDIRECTS_MAX; hops++) {
    onHop(url);
    const response = await transport.send(url, current);
    const location = response.header('location');
    if (![301, 302, 303, 307, 308].includes(response.status) || location === undefined) return response;
    response.discard();
    if (!URL.canParse(location, url.href)) throw redirectError(url, 'to something that is no URL');
    const next = new URL(location, url);
    if (!/^https?:$/.test(next.protocol)) throw redirectError(url, `to ${next.protocol}`);
    if (url.protocol === 'https:' && next.protocol === 'http:')
      throw redirectError(url, `from TLS to ${next.host} without TLS`);
    if (current.method === 'POST') throw redirectError(url, 'a request for a token');
    if (next.origin !== first.origin) {
      const { authorization: _secret, ...headers } = current.headers ?? {};
      current = { ...current, headers };
    }
    url = next;
  }
  throw redirectError(first, `more than ${REDIRECTS_MAX} times`);
}

function redirectError(url: URL, why: string): UserError {
  return new UserError('REGISTRY_FAILED', `${url.host} redirects ${why}`, 'Ask who runs the registry.');
}

/** Seconds of a Retry-After header (RFC 9110 section 10.2.3), a number or a date; 0 without one. */
export function retryAfter(response: Pick<HttpResponse, 'header'>): number {
  const text = response.header('retry-after') ?? '';
  if (/^\d+$/.test(text)) return Number(text);
  const date = Date.parse(text);
  return Number.isNaN(date) ? 0 : Math.max(0, (date - Date.now()) / 1000);
}
