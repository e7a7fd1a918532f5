// Builds boxship.mjs: one executable file with its templates, recipes and WASM inside, and the JSON Schemas of the product
// file and of a recipe beside it. `node build.mjs [FOLDER]`; the folder is dist/ by default.
import { chmodSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { threadSources } from '../setup/thread-source.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const folder = resolve(process.argv[2] ?? join(root, 'dist'));
const outfile = join(folder, 'boxship.mjs');

/** What Boxship reads at run time. */
const ASSETS = ['templates', 'recipes', 'layers/meta-boxship'];

/** The files of these folders, by their path from the root. */
function assetFiles() {
  return Object.fromEntries(
    ASSETS.flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .sort()
        .map((path) => [relative(root, path), readFileSync(path, 'utf8')]),
    ),
  );
}

/**
 * Inflating makes gigabytes of short-lived buffers outside of V8's heap, and V8 answers each 64 MiB of them with a collection
 * that several threads mark for: they would take the cores from zlib and the disk (measured: 2.8 of 15 CPU seconds). One
 * thread does it in a moment, since our heap is small; a small young generation saves memory. `gc` lets go of the layout of
 * one large file system before the next is made. Flags cannot be set later.
 */
const shebang = '#!/usr/bin/env -S node --single-threaded-gc --max-semi-space-size=4 --expose-gc';

await build({
  entryPoints: [join(root, 'tools/cli/src/main.ts')],
  outfile,
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  format: 'esm',
  legalComments: 'none',
  define: { BOXSHIP_VERSION: JSON.stringify(version) },
  // CommonJS packages inside an ES module still ask for `require`.
  banner: {
    js: [
      shebang,
      "import { createRequire as __createRequire } from 'node:module';",
      'const require = __createRequire(import.meta.url);',
    ].join('\n'),
  },
  plugins: [
    threadSources,
    {
      name: 'embedded-files',
      setup({ onLoad }) {
        onLoad({ filter: /[\\/]host[\\/]src[\\/]embedded-files\.ts$/ }, () => ({
          loader: 'js',
          contents: `export const embeddedFiles = ${JSON.stringify(assetFiles())};`,
        }));
      },
    },
  ],
});
chmodSync(outfile, 0o755);
for (const [schema, name] of [
  ['product-schema.json', 'boxship.schema.json'],
  ['recipe-schema.json', 'boxship-recipe.schema.json'],
]) {
  writeFileSync(join(folder, name), readFileSync(join(root, 'libs/catalog/src', schema), 'utf8'));
}
