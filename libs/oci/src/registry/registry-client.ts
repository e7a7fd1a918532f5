import { UserError } from '@boxship/model';
import { basicAuthorization, fetchToken, parseChallenges, readJson, type Authorization } from './authorization.ts';
import { findCredentials, type Credentials } from './credentials.ts';
import type { Endpoint } from './endpoint.ts';
import { patientRequests, retryAfter, type Patience } from './patient-requests.ts';
import { isNoTls, type HttpRequest, type HttpResponse, type Transport } from './transport.ts';

export interface RegistryRequest {
  readonly repository: string;
  /** Behind `/v2/<repository>/`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** What messages call it: `docker.io/library/busybox:1.36`. */
  readonly subject: string;
  readonly signal?: AbortSignal;
}

/** A request that may change something. */
export interface RegistryChange extends RegistryRequest, Pick<HttpRequest, 'method' | 'body' | 'once'> {
  /** Where an upload goes on, as the registry has told; instead of `path`. */
  readonly location?: string | undefined;
  /** Statuses that are answers, besides 2xx. */
  readonly accept?: readonly number[];
}

/** Requests over the distribution API, with logins, redirects and retries done. */
export interface RegistryClient {
  /** The answer, whose status is 2xx; every other one is an error in words. */
  get(endpoint: Endpoint, request: RegistryRequest): Promise<HttpResponse>;
  /** The same for any method; it asks for the right to push. */
  send(endpoint: Endpoint, request: RegistryChange): Promise<HttpResponse>;
  /** Waits before try `attempt` (from 2 on); longer each time. */
  pause(attempt: number, signal?: AbortSignal): Promise<void>;
}

/** What a token is asked for (distribution docs/content/spec/auth/scope.md). */
type Actions = 'pull' | 'pull,push';

export function registryClient(transport: Transport, options: Patience): RegistryClient {
  const schemes = new Map<string, 'https' | 'http'>();
  const authorizations = new Map<string, Authorization>();
  const credentials = new Map<string, Promise<Credentials | undefined>>();
  const logins = new Map<string, Promise<Authorization | undefined>>();

  const { send: sendPatiently, pause } = patientRequests(transport, options);

  /** https, or http where that is allowed and the server speaks no TLS. */
  const schemeOf = async (endpoint: Endpoint, signal?: AbortSignal): Promise<'https' | 'http'> => {
    const [first, second] = endpoint.schemes;
    if (second === undefined) return first!;
    let scheme = schemes.get(endpoint.host);
    if (!scheme) {
      try {
        const { discard } = await transport.send(new URL(`${first}://${endpoint.host}/v2/`), signal ? { signal } : {});
        discard();
        scheme = first!;
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof UserError) throw error;
        scheme = isNoTls(error) ? second : first!;
      }
      schemes.set(endpoint.host, scheme);
    }
    return scheme;
  };

  const credentialsFor = (endpoint: Endpoint, repository: string): Promise<Credentials | undefined> => {
    const key = `${endpoint.registry}/${repository}`;
    let found = credentials.get(key);
    if (!found) credentials.set(key, (found = findCredentials(endpoint.registry, repository, options.env)));
    return found;
  };

  /** What to show instead of `refused`; undefined when there is nothing to show. */
  const logIn = async (
    endpoint: Endpoint,
    repository: string,
    response: HttpResponse,
    isPlain: boolean,
    actions: Actions,
    signal: AbortSignal | undefined,
  ): Promise<Authorization | undefined> => {
    const challenges = parseChallenges(response.header('www-authenticate') ?? '');
    const own = await credentialsFor(endpoint, repository);
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    if (bearer) {
      return await fetchToken(
        bearer,
        `repository:${repository}:${actions}`,
        own,
        endpoint.registry,
        isPlain,
        (url, request) => sendPatiently(url, { ...request, ...(signal ? { signal } : {}) }),
      );
    }
    return challenges.some(({ scheme }) => scheme === 'basic') && own ? basicAuthorization(own) : undefined;
  };

  const ask = async (endpoint: Endpoint, request: RegistryChange, actions: Actions): Promise<HttpResponse> => {
    const { signal, method = 'GET', body, once = false, location, accept = [] } = request;
    const repository = `${endpoint.prefix}${request.repository}`;
    const scheme = await schemeOf(endpoint, signal);
    const api = new URL(`${scheme}://${endpoint.host}/v2/${repository}/${request.path}`);
    const url = location === undefined ? api : new URL(location, api);
    const key = `${endpoint.host} ${repository} ${actions}`;
    for (let tries = 1; ; tries++) {
      const known = authorizations.get(key);
      const fresh = known && known.expires > Date.now() ? known : undefined;
      const shown = fresh && url.origin === api.origin ? { authorization: fresh.header } : {}; // secrets are for the registry
      const headers = { ...request.headers, ...shown };
      const content = body === undefined ? {} : { body };
      const response = await sendPatiently(url, { method, headers, once, ...content, ...(signal ? { signal } : {}) });
      if ((response.status >= 200 && response.status < 300) || accept.includes(response.status)) return response;
      // a token may end at any time, so a refused one is worth one more login
      if (response.status === 401 && tries === 1) {
        response.discard();
        let login = authorizations.get(key) === known ? logins.get(key) : Promise.resolve(authorizations.get(key));
        if (!login) {
          login = logIn(endpoint, repository, response, scheme === 'http', actions, signal).finally(() =>
            logins.delete(key),
          );
          logins.set(key, login);
        }
        const authorization = await login;
        if (authorization) {
          authorizations.set(key, authorization);
          continue;
        }
      }
      const own = await credentialsFor(endpoint, repository);
      throw await statusError(response, endpoint, request.subject, own);
    }
  };
  return {
    get: (endpoint, request) => ask(endpoint, request, 'pull'),
    send: (endpoint, request) => ask(endpoint, request, 'pull,push'),
    pause,
  };
}

/** The answer in words: which image, which registry, what to do. */
async function statusError(
  response: HttpResponse,
  { host, registry }: Endpoint,
  subject: string,
  credentials: Credentials | undefined,
): Promise<UserError> {
  const { status } = response;
  const said = await serverMessage(response);
  const login = `docker login ${registry} (or skopeo login ${registry})`;
  switch (status) {
    case 401:
      return credentials
        ? new UserError('REGISTRY_AUTH', `${host} refused the credentials from ${credentials.from} for ${subject}${said}`, `Log in again: ${login}.`) // prettier-ignore
        : new UserError('REGISTRY_AUTH', `${host} does not show ${subject} without a login, or it does not exist${said}`, `Look at the spelling, or log in: ${login}.`); // prettier-ignore
    case 403:
      return new UserError('REGISTRY_AUTH', `${host} denies access to ${subject}${said}`, `Ask for the right to do that${credentials ? ` for the account in ${credentials.from}` : `, or log in: ${login}`}.`); // prettier-ignore
    case 404:
      return new UserError('IMAGE_NOT_FOUND', `${host} has no ${subject}${said}`, `Look at the spelling and the tag. For a private image, log in: ${login}.`); // prettier-ignore
    case 429: {
      const wait = retryAfter(response);
      return new UserError('REGISTRY_BUSY', `${host} limits how often images may be pulled${wait > 0 ? `; it asks to wait ${Math.ceil(wait)} s` : ''}${said}`, `Wait, name a mirror, or log in, which often raises the limit: ${login}.`); // prettier-ignore
    }
    default:
      return new UserError('REGISTRY_FAILED', `${host} answered with status ${status} when asked for ${subject}${said}`, 'Try again later, or ask who runs the registry.'); // prettier-ignore
  }
}

/** `: <message>` of distribution-spec 1.1 "Error Codes", short and on one line; '' without one. */
async function serverMessage(response: HttpResponse): Promise<string> {
  const answer = await readJson(response);
  const errors: unknown = answer?.['errors'];
  const first = Array.isArray(errors) ? (errors[0] as { message?: unknown; code?: unknown } | null) : undefined;
  const message = first?.message || first?.code;
  if (typeof message !== 'string') return '';
  // eslint-disable-next-line no-control-regex -- a server's words must not steer the terminal
  return ` ("${message.replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ').slice(0, 200)}")`;
}
