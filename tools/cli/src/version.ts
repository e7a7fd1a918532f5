import type { Command } from 'commander';
import { defineAction, examples } from './define-action.ts';
import { version } from './version-number.ts';

/** `boxship version`: what runs here. */
export function addVersion(program: Command): void {
  const command = program
    .command('version')
    .summary('print the version')
    .description('Prints the version of Boxship and of Node.js.');
  examples(command, [['boxship version --json', '{ "boxship": "…", "node": "…" }']]);
  defineAction<{ json?: true }>(command, async (_session, { json }) => {
    const document = { boxship: version, node: process.version };
    process.stdout.write(
      json ? `${JSON.stringify(document, null, 2)}\n` : `boxship ${version} (node ${process.version})\n`,
    );
  });
}
