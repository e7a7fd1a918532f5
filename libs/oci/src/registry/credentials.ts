import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import { UserError } from '@boxship/model';
import { isObject, textMap, type JsonObject } from '../json-document.ts';
import type { Environment } from './proxy.ts';

/** What a registry or its token server is shown. Never printed, never in an error. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
  /** An OAuth2 refresh token instead of a password (docker's `identitytoken`). */
  readonly identityToken?: string;
  /** The file or program they come from; this may be told. */
  readonly from: string;
}

/** Key of Docker Hub in docker's files, ever since it had an index. */
const HUB_KEY = 'https://index.docker.io/v1/';

/**
 * What the user's files and credential helpers have for a repository, as podman and docker look: `$REGISTRY_AUTH_FILE`
 * alone when it is set; else `$XDG_RUNTIME_DIR/containers/auth.json`, `~/.config/containers/auth.json` and
 * `${DOCKER_CONFIG:-~/.docker}/config.json`, the first that knows it.
 * Errors: BAD_AUTH_FILE, CREDENTIAL_HELPER.
 */
export async function findCredentials(
  registry: string,
  repository: string,
  env: Environment,
): Promise<Credentials | undefined> {
  for (const { file, required } of authFiles(env)) {
    const object = await readAuthFile(file, required);
    const found = object && (await lookUp(object, file, registry, repository, env));
    if (found) return found;
  }
  return undefined;
}

function authFiles(env: Environment): { file: string; required: boolean }[] {
  if (env['REGISTRY_AUTH_FILE']) return [{ file: env['REGISTRY_AUTH_FILE'], required: true }];
  const home = env['HOME'];
  const config = env['XDG_CONFIG_HOME'] || (home && join(home, '.config'));
  const docker = env['DOCKER_CONFIG'] || (home && join(home, '.docker'));
  const folders = [
    env['XDG_RUNTIME_DIR'] && join(env['XDG_RUNTIME_DIR'], 'containers/auth.json'),
    config && join(config, 'containers/auth.json'),
    docker && join(docker, 'config.json'),
  ];
  return folders.filter((file) => file !== undefined && file !== '').map((file) => ({ file: file!, required: false }));
}

async function readAuthFile(file: string, required: boolean): Promise<JsonObject | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (!required && (code === 'ENOENT' || code === 'ENOTDIR')) return undefined;
    throw new UserError(
      'BAD_AUTH_FILE',
      `${file} cannot be read: ${code}`,
      required ? 'REGISTRY_AUTH_FILE names it.' : undefined,
    );
  }
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // the parser's message quotes the file, and so secrets
  }
  throw new UserError(
    'BAD_AUTH_FILE',
    `${file} is not a JSON object`,
    'Write it anew with: docker login, or skopeo login.',
  );
}

async function lookUp(
  object: JsonObject,
  file: string,
  registry: string,
  repository: string,
  env: Environment,
): Promise<Credentials | undefined> {
  const isHub = hostOf(registry) === 'docker.io';
  const helpers = textMap(object['credHelpers']);
  const helperKey = Object.keys(helpers).find((key) => hostOf(key) === hostOf(registry));
  const store = object['credsStore'];
  const helper = helperKey === undefined ? (typeof store === 'string' ? store : undefined) : helpers[helperKey];
  if (helper) {
    const found = await askHelper(helper, isHub ? HUB_KEY : registry, env);
    if (found) return found;
  }
  const auths = isObject(object['auths']) ? object['auths'] : {};
  // containers-auth.json(5): a key may go as deep as a repository, the longest wins
  const parts = [hostOf(registry), ...repository.split('/')];
  for (let length = parts.length; length > 0; length--) {
    const wanted = parts.slice(0, length).join('/');
    const key = Object.keys(auths).find((one) => (length === 1 ? hostOf(one) : one.replace(/\/$/, '')) === wanted);
    const found = key === undefined ? undefined : readAuth(auths[key], file);
    if (found) return found;
  }
  return undefined;
}

/** `https://index.docker.io/v1/` and `index.docker.io` are `docker.io`; a key with a repository is no host. */
function hostOf(key: string): string {
  const host = key
    .replace(/^https?:\/\//, '')
    .replace(/\/(v[12]\/?)?$/, '')
    .toLowerCase();
  return host === 'index.docker.io' || host === 'registry-1.docker.io' ? 'docker.io' : host;
}

/** docker/cli cli/config/types/authconfig.go */
function readAuth(value: unknown, file: string): Credentials | undefined {
  const { auth, username, password, identitytoken } = textMap(value);
  const decoded = auth ? Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '') : '';
  const colon = decoded.indexOf(':');
  const user = colon > 0 ? decoded.slice(0, colon) : (username ?? '');
  const secret = colon > 0 ? decoded.slice(colon + 1) : (password ?? '');
  if (identitytoken) return { username: user, password: '', identityToken: identitytoken, from: file };
  return user === '' ? undefined : { username: user, password: secret, from: file };
}

/** docker-credential-helpers README "Development": `get` takes the server's URL on stdin and answers in JSON. */
async function askHelper(helper: string, server: string, env: Environment): Promise<Credentials | undefined> {
  const program = `docker-credential-${helper}`;
  if (!/^[A-Za-z0-9._-]+$/.test(helper))
    throw new UserError('CREDENTIAL_HELPER', `"${helper}" is not the name of a credential helper`);
  // a helper is the user's own program: it finds its key ring and its cloud account through the user's environment
  const inherited = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const result = await runProgram(program, ['get'], {
    input: server,
    env: Object.fromEntries(inherited),
    timeout: 60_000,
    accept: Array.from({ length: 256 }, (_, code) => code),
  });
  const answer = result.stdout.toString('utf8').trim();
  // "credentials not found in native keychain" and its like: docker-credential-helpers credentials/error.go
  if (result.code !== 0 && /not found|no credentials/i.test(`${answer} ${result.stderr}`)) return undefined;
  const fields = result.code === 0 ? parseHelperAnswer(answer) : undefined;
  if (!fields) {
    // its output may hold secrets
    throw new UserError('CREDENTIAL_HELPER', `${program} gave no credentials for ${server} (exit code ${result.code})`, `Try it: echo ${server} | ${program} get`); // prettier-ignore
  }
  const { Username: username = '', Secret: secret = '' } = fields;
  if (username === '' && secret === '') return undefined;
  if (username === '<token>') return { username: '', password: '', identityToken: secret, from: program };
  return { username, password: secret, from: program };
}

function parseHelperAnswer(text: string): Readonly<Record<string, string>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? textMap(value) : undefined;
  } catch {
    return undefined;
  }
}
