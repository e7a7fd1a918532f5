import { Ajv } from 'ajv';
import { expect, it } from 'vitest';
import { lockSchema } from './lock-file.ts';
import product from './product-schema.json' with { type: 'json' };
import recipe from './recipe-schema.json' with { type: 'json' };

it.each([
  ['product', product],
  ['recipe', recipe],
  ['lock', lockSchema],
])('the schema of a %s file is JSON Schema', (_name, schema) => {
  const ajv = new Ajv({ allowUnionTypes: true });
  expect([ajv.validateSchema(schema), ajv.errors]).toEqual([true, null]);
});
