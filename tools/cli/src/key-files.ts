import { mkdir, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { UserError } from '@boxship/model';
import { isDevelopmentKey, parsePublicKey, type KeyPair } from 'cosign-node-binding';
import type { Session } from './session.ts';

export interface KeyFiles {
  readonly privateKey: string;
  readonly publicKey: string;
}

/** `<prefix>.key` and `<prefix>.pub`, as `cosign generate-key-pair` names them. */
export function keyFiles(prefix: string): KeyFiles {
  return { privateKey: `${prefix}.key`, publicKey: `${prefix}.pub` };
}

/**
 * Writes a key pair, the private half readable for its owner alone, and tells what was made.
 * Errors: KEY_EXISTS; a key that exists is never touched, because what it signed could not be signed again.
 */
export async function writeKeyFiles(prefix: string, pair: KeyPair, session: Session): Promise<void> {
  const files = keyFiles(prefix);
  await mkdir(dirname(prefix), { recursive: true });
  await writeNew(files.privateKey, pair.privateKeyPem, 0o600);
  try {
    await writeNew(files.publicKey, pair.publicKeyPem, 0o644);
  } catch (error) {
    await rm(files.privateKey, { force: true }); // written by us a moment ago
    throw error;
  }
  const { keyId } = parsePublicKey(pair.publicKeyPem);
  const development = isDevelopmentKey(pair.publicKeyPem);
  session.result(
    { ...files, keyId, development },
    [
      `private key  ${files.privateKey}  keep it secret, and a copy of it safe`,
      `public key   ${files.publicKey}  goes into the devices; verify with it`,
      `key id       ${keyId}`,
      ...(development
        ? ['This is a development key: what it signs is marked so, and `compose --release` refuses it.']
        : []),
      '',
    ].join('\n'),
  );
}

async function writeNew(path: string, text: string, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
    throw new UserError('KEY_EXISTS', `${path} exists; a key is never overwritten`, 'Choose another name: --output-key-prefix PREFIX.'); // prettier-ignore
  });
  try {
    await file.chmod(mode); // the umask must not open or close it
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}
