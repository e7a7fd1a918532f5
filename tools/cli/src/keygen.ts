import type { Command } from 'commander';
import { DEVELOPMENT, generateKeyPair } from 'cosign-node-binding';
import { defineAction, examples } from './define-action.ts';
import { writeKeyFiles } from './key-files.ts';
import { newPassword } from './password.ts';

/** `boxship keygen`: a key pair in cosign's own format. */
export function addKeygen(program: Command): void {
  const command = program
    .command('keygen')
    .summary('make a key pair for signing')
    .description(
      'Makes a key pair in the format of cosign (ECDSA P-256, encrypted with a password). The password comes from\n' +
        'COSIGN_PASSWORD or is asked for on the terminal. An existing key is never overwritten.',
    )
    .option('--output-key-prefix <prefix>', 'path of the two files without .key and .pub', 'cosign')
    .option('--development', 'mark the key in its own metadata as one for development: it cannot sign a release');
  examples(command, [
    ['boxship keygen --output-key-prefix keys/release', 'writes keys/release.key and keys/release.pub'],
    ['COSIGN_PASSWORD= boxship keygen --development', 'a key for trying things, without a password'],
  ]);
  defineAction<{ outputKeyPrefix: string; development?: true }>(command, async (session, options) => {
    const password = await newPassword(session);
    const pair = await generateKeyPair({ password, ...(options.development ? { metadata: DEVELOPMENT } : {}) });
    await writeKeyFiles(options.outputKeyPrefix, pair, session);
  });
}
