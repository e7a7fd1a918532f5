// Builds boxship.mjs: one executable file with its templates, recipes and WASM inside, and the JSON Schema of the product
// file beside it. `node build.mjs [FOLDER]`; the folder is dist/ by default.
import { chmodSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../../', import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const folder = resolve(process.argv[2] ?? join(root, 'dist'));
const outfile = join(folder, 'boxship.mjs');

/** The files that Boxship reads at run time, by their path from the root. */
function assetFiles() {
  return Object.fromEntries(
    ['templates', 'recipes'].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .sort()
        .map((path) => [relative(root, path), readFileSync(path, 'utf8')]),
    ),
  );
}

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
      '#!/usr/bin/env node',
      "import { createRequire as __createRequire } from 'node:module';",
      'const require = __createRequire(import.meta.url);',
    ].join('\n'),
  },
  plugins: [
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
writeFileSync(
  join(folder, 'boxship.schema.json'),
  readFileSync(join(root, 'libs/catalog/src/product-schema.json'), 'utf8'),
);
