import { UserError } from '@boxship/model';
import { isLoopback } from './proxy.ts';

/** One server that has the images of a registry: the registry itself, or a mirror of it. */
export interface Endpoint {
  /** `name[:port]`, for messages, credentials and certificates. */
  readonly host: string;
  /** Registry whose credentials are shown; `docker.io` for Docker Hub. */
  readonly registry: string;
  readonly isMirror: boolean;
  /** Put before the repository: mirrors may keep a registry below a path. */
  readonly prefix: string;
  readonly schemes: readonly ('https' | 'http')[];
}

export interface EndpointOptions {
  /** Registry to base URLs of its mirrors, asked in this order before the registry itself. */
  readonly mirrors: Readonly<Record<string, readonly string[]>>;
  /** Registries (`name[:port]`) that may be asked without TLS when they have none. This machine always may. */
  readonly plainHttp: readonly string[];
}

/** Where to ask for the images of `registry`, in order. Errors: BAD_MIRROR. */
export function endpointsOf(registry: string, { mirrors, plainHttp }: EndpointOptions): Endpoint[] {
  const own = Object.hasOwn(mirrors, registry) ? mirrors[registry]! : [];
  const host = registry === 'docker.io' ? 'registry-1.docker.io' : registry;
  const mayBePlain = plainHttp.includes(registry) || isLoopback(new URL(`http://${host}`));
  const origin: Endpoint = {
    host,
    registry,
    isMirror: false,
    prefix: '',
    schemes: mayBePlain ? ['https', 'http'] : ['https'],
  };
  return [...own.map((text) => mirrorEndpoint(text, registry)), origin];
}

function mirrorEndpoint(text: string, registry: string): Endpoint {
  const full = text.includes('://') ? text : `https://${text}`;
  const url = URL.canParse(full) ? new URL(full) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '') {
    throw new UserError('BAD_MIRROR', `a mirror of ${registry} is not the URL of a registry`, 'Write https://mirror.example.com or https://mirror.example.com/path; log in with docker login.'); // prettier-ignore
  }
  const path = url.pathname.replace(/^\/+(v2\/)?|\/+$/g, '');
  return {
    host: url.host,
    registry: url.host,
    isMirror: true,
    prefix: path === '' || path === 'v2' ? '' : `${path}/`,
    schemes: [url.protocol === 'http:' ? 'http' : 'https'],
  };
}
