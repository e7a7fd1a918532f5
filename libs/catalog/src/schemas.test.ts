import { Ajv } from 'ajv';
import { expect, it } from 'vitest';
import lock from './lock-schema.json' with { type: 'json' };
import product from './product-schema.json' with { type: 'json' };
import recipe from './recipe-schema.json' with { type: 'json' };

it.each([
  ['product', product],
  ['recipe', recipe],
  ['lock', lock],
])('the schema of a %s file is JSON Schema', (_name, schema) => {
  const ajv = new Ajv({ allowUnionTypes: true, strict: true, strictRequired: false });
  expect([ajv.validateSchema(schema), ajv.errors]).toEqual([true, null]);
  ajv.compile(schema); // and strict: the validators that are made ahead of time are not
});
