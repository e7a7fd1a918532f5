/** What ajv makes of a JSON Schema: tools/setup/made-modules.mjs makes it, for esbuild and for vitest. */
declare module '*.json?validator' {
  import type { ValidateFunction } from 'ajv';
  const validate: ValidateFunction;
  export default validate;
}
