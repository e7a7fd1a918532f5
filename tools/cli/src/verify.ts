import type { Command } from 'commander';
import { verifyRelease } from '@boxship/compose';
import { formatByteSize } from '@boxship/model';
import { defineAction, examples } from './define-action.ts';
import type { ErrorReport } from './error-report.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { readKeyFile } from './import-key.ts';
import { formatTable } from './table.ts';

/** Problems of what was given, not of what was verified. */
const INPUT_PROBLEMS = new Set(['NOT_FOUND', 'BAD_KEY', 'UNSUPPORTED_KEY']);

/** `boxship verify`: is this what the holder of the key signed? */
export function addVerify(program: Command): void {
  const command = program
    .command('verify')
    .summary('prove that a release, or a store for bitbake, is what the holder of the key signed')
    .description(
      'Proves release.json (of boxship compose) or <bundle>.store.json (of boxship store), and the size, digest and signatures\n' +
        'of every file; a folder must hold nothing else. Says which file is wrong, and of a disk image which byte range. Ends with code 3 when anything is wrong.\n' +
        'The payload digest leaves out what a signing key adds: releases of different keys have it in common.\n' +
        'Real cosign verifies the same signatures:\n' +
        '  cosign verify-blob --key release.pub --insecure-ignore-tlog --bundle FILE.sigstore.json FILE',
    )
    .argument('<path>', 'folder of a release or of a store, or one file in it')
    .requiredOption('--key <file>', 'public key, as boxship keygen and cosign make it');
  examples(command, [
    ['boxship verify deploy/acme-gateway-1.4.0/qemux86-64-docker-basic --key keys/release.pub', 'a whole release'],
    [
      'boxship verify store/acme-gateway-1.4.0/qemux86-64-docker-basic --key keys/release.pub',
      'what boxship store wrote',
    ],
    ['boxship verify gateway.img --key keys/release.pub --json', 'one file, with the answer as JSON'],
  ]);
  defineAction<{ key: string }, [string]>(
    command,
    async (session, { key }, path) => {
      const publicKeyPem = await readKeyFile(key);
      const step = session.progress.start(`verifying ${path}`);
      const verified = await verifyRelease(path, publicKeyPem, { onBytes: (bytes) => step.advance(bytes) }).finally(
        () => step.end(),
      );
      const development = (verified.release ?? verified.bundle)?.development ?? false;
      const rows = verified.files.map(({ name, size, digest, payload = '' }) => [
        name,
        formatByteSize(size),
        digest,
        payload,
      ]);
      session.result(
        { verified: true, path, keyId: verified.keyId, development, files: verified.files },
        [
          ...(rows.length > 0 ? [formatTable(['file', 'size', 'digest', 'payload'], rows, [1])] : []),
          `verified with the key ${verified.keyId}`,
          '',
        ].join('\n'),
      );
      if (development) session.progress.warn('the release was signed with a development key: it is not for customers');
    },
    classify,
  );
}

function classify({ problems, exitCode }: ErrorReport): ExitCode {
  if (exitCode !== exitCodes.userError) return exitCode;
  return problems.every(({ code }) => INPUT_PROBLEMS.has(code) || /^E[A-Z]+$/.test(code))
    ? exitCode
    : exitCodes.verificationFailed;
}
