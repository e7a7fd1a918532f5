import { UserError } from '@boxship/model';
import { isObject } from '../json-document.ts';
import type { Credentials } from './credentials.ts';
import type { HttpRequest, HttpResponse } from './transport.ts';

/** One challenge of a WWW-Authenticate header (RFC 9110 section 11.6.1). */
export interface Challenge {
  /** Lower case: `bearer`, `basic`. */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** The challenges of a WWW-Authenticate header; what cannot be read is left out. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  const token = /\s*,?\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?/y;
  for (let match = token.exec(header); match; match = token.exec(header)) {
    const [, word, quoted, plain] = match;
    const value = quoted?.replace(/\\(.)/g, '$1') ?? plain;
    if (value === undefined) challenges.push({ scheme: word!.toLowerCase(), parameters: {} });
    else if (challenges.length > 0) challenges.at(-1)!.parameters[word!.toLowerCase()] = value;
  }
  return challenges;
}

/** A value for the Authorization header, and until when it may be sent (milliseconds since 1970). */
export interface Authorization {
  readonly header: string;
  readonly expires: number;
}

export function basicAuthorization({ username, password }: Credentials): Authorization {
  return { header: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`, expires: Infinity };
}

/** docker's token spec: without `expires_in` a token lives for 60 seconds. */
const TOKEN_SECONDS = 60;

/**
 * A bearer token from the server that the challenge names (distribution docs/content/spec/auth/token.md, and oauth.md
 * for identity tokens). `send` must treat it as any request: retries, no secrets to other hosts.
 * Errors: REGISTRY_AUTH.
 */
export async function fetchToken(
  challenge: Challenge,
  scope: string,
  credentials: Credentials | undefined,
  registry: string,
  allowPlainHttp: boolean,
  send: (url: URL, request: HttpRequest) => Promise<HttpResponse>,
): Promise<Authorization> {
  const { realm = '', service } = challenge.parameters;
  const failed = (why: string, hint: string) => new UserError('REGISTRY_AUTH', why, hint);
  if (!URL.canParse(realm)) throw failed(`${registry} names no token server`, 'Is this the address of a registry?');
  const url = new URL(realm);
  if (url.protocol !== 'https:' && !(allowPlainHttp && url.protocol === 'http:')) {
    throw failed(`${registry} wants its token fetched without TLS from ${url.host}`, 'This would show your password to the network. Ask who runs the registry.'); // prettier-ignore
  }
  const wanted = challenge.parameters['scope'] ?? scope;
  let response: HttpResponse;
  if (credentials?.identityToken !== undefined) {
    const form = new URLSearchParams({ grant_type: 'refresh_token', client_id: 'boxship', scope: wanted, refresh_token: credentials.identityToken }); // prettier-ignore
    if (service) form.set('service', service);
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    response = await send(url, { method: 'POST', headers, body: form.toString() });
  } else {
    if (service) url.searchParams.set('service', service);
    url.searchParams.set('scope', wanted);
    response = await send(
      url,
      credentials ? { headers: { authorization: basicAuthorization(credentials).header } } : {},
    );
  }
  if (response.status !== 200) {
    response.discard();
    throw failed(
      credentials
        ? `${url.host} refused the credentials for ${registry} from ${credentials.from} (status ${response.status})`
        : `${url.host} gives no token for ${registry} without a login (status ${response.status})`,
      `Log in again: docker login ${registry} (or skopeo login ${registry}).`,
    );
  }
  const answer = await readJson(response);
  const token = answer?.['token'] ?? answer?.['access_token'];
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) {
    throw failed(`${url.host} answered without a token for ${registry}`, 'Ask who runs the registry.');
  }
  const seconds = Number(answer?.['expires_in'] ?? TOKEN_SECONDS) || TOKEN_SECONDS;
  return { header: `Bearer ${token}`, expires: Date.now() + seconds * 800 }; // a fifth before its end
}

/** Token answers and error lists are small. */
const ANSWER_MAX = 1024 * 1024;

/** The JSON object of a small answer, or undefined. */
export async function readJson(response: HttpResponse): Promise<Readonly<Record<string, unknown>> | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response.body) {
      length += (chunk as Buffer).length;
      if (length > ANSWER_MAX) return undefined;
      chunks.push(chunk as Buffer);
    }
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
