import { BlockList, isIP } from 'node:net';
import { UserError } from '@boxship/model';

/** Environment variables, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy for `url`, as curl and Go read the environment (golang.org/x/net/http/httpproxy): `HTTPS_PROXY`,
 * `HTTP_PROXY`, `NO_PROXY`, each also in lower case. This machine itself is never asked through a proxy.
 * Errors: BAD_PROXY, which never shows a password.
 */
export function proxyFor(url: URL, env: Environment): URL | undefined {
  const names = url.protocol === 'https:' ? ['HTTPS_PROXY', 'https_proxy'] : ['HTTP_PROXY', 'http_proxy'];
  const text = names.map((name) => env[name]).find(Boolean);
  if (!text || isLoopback(url) || isExempt(url, env['NO_PROXY'] || env['no_proxy'] || '')) return undefined;
  try {
    const proxy = new URL(text.includes('://') ? text : `http://${text}`);
    if (proxy.protocol === 'http:' || proxy.protocol === 'https:') return proxy;
  } catch {
    // told below
  }
  throw new UserError(
    'BAD_PROXY',
    `${names[0]} is not the URL of an HTTP proxy`,
    'Write http://proxy.example.com:3128.',
  );
}

function hostName(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
}

/** True for addresses of this machine: `localhost`, 127.0.0.0/8, ::1. */
export function isLoopback(url: URL): boolean {
  const host = hostName(url);
  return (
    host === 'localhost' ||
    host.endsWith('.localhost') ||
    host === '::1' ||
    (isIP(host) === 4 && host.startsWith('127.'))
  );
}

function isExempt(url: URL, list: string): boolean {
  const host = hostName(url);
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return list.split(/[\s,]+/).some((item) => {
    const entry = item.toLowerCase();
    if (entry === '') return false;
    if (entry === '*') return true;
    const [, address, bits] = /^([0-9a-f.:]+)\/(\d+)$/.exec(entry) ?? [];
    if (address !== undefined) return isIP(host) !== 0 && inSubnet(host, address, Number(bits));
    const [, name, entryPort] = /^(.*?)(?::(\d+))?$/.exec(isIP(entry) === 6 ? `[${entry}]` : entry) ?? [];
    if (entryPort !== undefined && entryPort !== port) return false;
    const domain = (name ?? '').replace(/^\*\./, '.').replace(/^\[|\]$/g, '');
    if (isIP(host) !== 0) return host === domain;
    return host.endsWith(domain.startsWith('.') ? domain : `.${domain}`) || host === domain;
  });
}

function inSubnet(host: string, address: string, bits: number): boolean {
  const family = (text: string) => (isIP(text) === 6 ? 'ipv6' : 'ipv4');
  if (isIP(address) === 0 || family(address) !== family(host) || bits > (isIP(address) === 6 ? 128 : 32)) return false;
  const list = new BlockList();
  list.addSubnet(address, bits, family(address));
  return list.check(host, family(host));
}
