import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { DEVELOPMENT, importPrivateKey } from 'cosign-node-binding';
import { UserError } from '@boxship/model';
import { defineAction, examples } from './define-action.ts';
import { writeKeyFiles } from './key-files.ts';
import { newPassword } from './password.ts';

/** `boxship import-key`: a key that exists, in cosign's format. */
export function addImportKey(program: Command): void {
  const command = program
    .command('import-key')
    .summary('bring an existing private key into the format for signing')
    .description(
      'Reads an unencrypted private key (PEM: PKCS#8, SEC1 or PKCS#1; ECDSA P-256 or RSA of 2048, 3072 or 4096 bits)\n' +
        'and writes it in the format of cosign, encrypted with a password. The PEM file stays as it is.',
    )
    .argument('<pem>', 'file with the private key')
    .option('--output-key-prefix <prefix>', 'path of the two files without .key and .pub', 'import-cosign')
    .option('--development', 'mark the key in its own metadata as one for development: it cannot sign a release');
  examples(command, [
    ['boxship import-key company.pem --output-key-prefix keys/release', 'writes keys/release.key and keys/release.pub'],
  ]);
  defineAction<{ outputKeyPrefix: string; development?: true }, [string]>(
    command,
    async (session, options, pemFile) => {
      const pem = await readKeyFile(pemFile);
      const password = await newPassword(session);
      const pair = await importPrivateKey(pem, { password, ...(options.development ? { metadata: DEVELOPMENT } : {}) });
      await writeKeyFiles(options.outputKeyPrefix, pair, session);
    },
  );
}

/** Text of a key that the user named. Errors: NOT_FOUND. */
export async function readKeyFile(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new UserError('NOT_FOUND', `there is no key file ${path}`, 'boxship keygen makes a key pair.');
  });
}
