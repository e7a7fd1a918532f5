// Imports that are made when the program is bundled, for esbuild (boxship.mjs) and for vitest (sources):
//
// `import source from './x-thread.ts?thread'`: the program of a worker thread as text, for `new Worker(source, { eval: true })`.
// A thread must live in the one file that boxship.mjs is, and from sources Node cannot load TypeScript.
//
// `import validate from './x-schema.json?validator'`: what ajv makes of a JSON Schema. To make it anew at each start took
// more time than all else that is read and planned.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import { build } from 'esbuild';

const common = { bundle: true, write: false, platform: 'node', target: 'node20.19', legalComments: 'none' };

/** CommonJS, since that is what a worker evaluates. Its text has no address: what needs one fails, and is not in it. */
async function threadText(path) {
  const define = { 'import.meta.url': 'undefined' };
  const { outputFiles } = await build({ ...common, entryPoints: [path], format: 'cjs', define });
  return `export default ${JSON.stringify(outputFiles[0].text)};`;
}

/**
 * Every error at once, each with the part of the schema that it is of. Formats are words for people and "deprecated" is one
 * of Compose's own; the dialect that a schema names may have an address that ajv does not know.
 */
async function validatorText(path) {
  const schema = JSON.parse(readFileSync(path, 'utf8'));
  delete schema.$schema;
  const require = createRequire(path);
  const { Ajv } = require('ajv');
  const { default: standaloneCode } = require('ajv/dist/standalone');
  const ajv = new Ajv({
    ...{ allErrors: true, verbose: true, strict: false, validateFormats: false, validateSchema: false },
    code: { source: true, esm: true },
  });
  const stdin = { contents: standaloneCode(ajv, ajv.compile(schema)), resolveDir: dirname(path) };
  const { outputFiles } = await build({ ...common, stdin, format: 'esm' });
  return outputFiles[0].text;
}

const MAKERS = { thread: threadText, validator: validatorText };
const NAMES = new RegExp(`\\?(${Object.keys(MAKERS).join('|')})$`);

function make(id) {
  const [, kind] = NAMES.exec(id);
  return MAKERS[kind](id.slice(0, -kind.length - 1));
}

export const madeModules = {
  name: 'made-modules',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: NAMES }, ({ path, resolveDir }) => ({ path: resolve(resolveDir, path), namespace: 'made' }));
    onLoad({ filter: /.*/, namespace: 'made' }, async ({ path }) => ({ contents: await make(path), loader: 'js' }));
  },
};

export const madeModulesForVite = {
  name: 'made-modules',
  enforce: 'pre',
  resolveId: (id, importer) => (NAMES.test(id) && importer ? resolve(dirname(importer), id) : undefined),
  load: (id) => (NAMES.test(id) ? make(id) : undefined),
};
