import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { UserError } from '@boxship/model';
import type { Environment } from './proxy.ts';

/** Certificate bundles of Linux distributions (Go crypto/x509/root_linux.go); a company's own CA is put there. */
const SYSTEM_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

export interface TrustOptions {
  readonly env: Environment;
  /** PEM files with further CA certificates. */
  readonly caFiles: readonly string[];
  /** Folders with one folder per registry, as docker and containers have them (`certs.d/<host:port>/ca.crt`). */
  readonly certificateFolders?: readonly string[];
}

/**
 * Whom to trust as `host` (`name[:port]`): the system's CAs (Node's where there are none), `SSL_CERT_FILE` instead of
 * them, `NODE_EXTRA_CA_CERTS` and `caFiles` besides, and for this registry alone `certs.d/<host>/*.crt` with the client
 * certificates (`*.cert`, `*.key`) there. Errors: BAD_CERTIFICATE.
 */
export async function trustFor(
  host: string,
  { env, caFiles, certificateFolders }: TrustOptions,
): Promise<SecureContext> {
  const ca: (string | Buffer)[] = [];
  const named = env['SSL_CERT_FILE'];
  if (named) ca.push(await mustRead(named, 'SSL_CERT_FILE'));
  else ca.push(...((await firstReadable(SYSTEM_BUNDLES)) ?? rootCertificates));
  if (env['NODE_EXTRA_CA_CERTS']) ca.push(await mustRead(env['NODE_EXTRA_CA_CERTS'], 'NODE_EXTRA_CA_CERTS'));
  for (const file of caFiles) ca.push(await mustRead(file, 'the CA file'));
  const client: { cert: Buffer; key: Buffer }[] = [];
  for (const folder of certificateFolders ?? defaultFolders(env)) {
    const own = join(folder, host);
    for (const name of (await readdir(own).catch(() => [])).sort()) {
      if (name.endsWith('.crt')) ca.push(await mustRead(join(own, name), 'the certificate'));
      if (!name.endsWith('.cert')) continue;
      const key = await mustRead(join(own, name.replace(/\.cert$/, '.key')), 'the client key');
      client.push({ cert: await mustRead(join(own, name), 'the client certificate'), key });
    }
  }
  try {
    return createSecureContext({ ca, ...client[0] });
  } catch (error) {
    throw new UserError('BAD_CERTIFICATE', `the certificates for ${host} cannot be used: ${(error as Error).message}`, `Look at SSL_CERT_FILE, the CA files and certs.d/${host}: they must be PEM.`); // prettier-ignore
  }
}

function defaultFolders(env: Environment): string[] {
  const home = env['HOME'] ? [join(env['HOME'], '.config/containers/certs.d')] : [];
  return ['/etc/docker/certs.d', '/etc/containers/certs.d', ...home];
}

async function firstReadable(files: readonly string[]): Promise<Buffer[] | undefined> {
  for (const file of files) {
    const bytes = await readFile(file).catch(() => undefined);
    if (bytes && bytes.length > 0) return [bytes];
  }
  return undefined;
}

async function mustRead(file: string, what: string): Promise<Buffer> {
  return await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new UserError('BAD_CERTIFICATE', `${what} ${file} cannot be read: ${error.code ?? error.message}`);
  });
}
