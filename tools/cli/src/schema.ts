import { Argument, type Command } from 'commander';
import { productSchema, recipeSchema } from '@boxship/catalog';
import { defineAction, examples } from './define-action.ts';

const schemas = { product: productSchema, recipe: recipeSchema };

/** `boxship schema`: the JSON Schemas of what people write, for editors. */
export function addSchema(program: Command): void {
  const command = program
    .command('schema')
    .summary('print the JSON Schema of boxship.yaml, or of a recipe')
    .description(
      'Prints the JSON Schema of boxship.yaml, or of a recipe. Editors complete and check the files with it.',
    )
    .addArgument(new Argument('[of]', 'which').choices(Object.keys(schemas)).default('product'));
  examples(command, [
    [
      'boxship schema > boxship.schema.json',
      'then begin boxship.yaml with: # yaml-language-server: $schema=boxship.schema.json',
    ],
    ['boxship schema recipe > recipe.schema.json', 'for a machine of your own, to be added to the catalogue'],
  ]);
  defineAction<object, ['product' | 'recipe']>(command, async (_session, _options, of) => {
    process.stdout.write(`${JSON.stringify(schemas[of], null, 2)}\n`); // JSON in any case
  });
}
