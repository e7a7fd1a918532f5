import type { Command } from 'commander';
import { productSchema } from '@boxship/catalog';
import { defineAction, examples } from './define-action.ts';

/** `boxship schema`: the JSON Schema of boxship.yaml, for editors. */
export function addSchema(program: Command): void {
  const command = program
    .command('schema')
    .summary('print the JSON Schema of boxship.yaml')
    .description('Prints the JSON Schema of boxship.yaml. Editors complete and check the file with it.');
  examples(command, [
    [
      'boxship schema > boxship.schema.json',
      'then begin boxship.yaml with: # yaml-language-server: $schema=boxship.schema.json',
    ],
  ]);
  defineAction(command, async () => {
    process.stdout.write(`${JSON.stringify(productSchema, null, 2)}\n`); // JSON in any case
  });
}
