// Builds boxship.mjs: one executable file with its templates, recipes and WASM inside, and the JSON Schemas of the product
// file and of a recipe beside it. `node build.mjs [FOLDER]`; the folder is dist/ by default.
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import Handlebars from 'handlebars';
import { madeModules } from '../setup/made-modules.mjs';

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

/**
 * What both bundles have in common. Node reads and scans the whole file before it runs a line, so comments and blanks cost
 * every start; lines stay short, so that the place in a stack trace still says something.
 */
const common = {
  minifyWhitespace: true,
  lineLimit: 120,
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  legalComments: 'none',
};

const embeddedFiles = {
  name: 'embedded-files',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]host[\\/]src[\\/]embedded-files\.ts$/ }, () => ({
      loader: 'js',
      contents: `export const embeddedFiles = ${JSON.stringify(assetFiles())};`,
    }));
  },
};

/**
 * In place of Handlebars: what it makes of each template, found by the template's text, so that no start compiles them. The
 * options are those that the sources give.
 */
const compiledTemplates = {
  name: 'compiled-templates',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^handlebars$/ }, () => ({ path: 'handlebars', namespace: 'templates' }));
    onLoad({ filter: /.*/, namespace: 'templates' }, () => {
      const templates = Object.entries(assetFiles()).filter(([path]) => path.endsWith('.hbs'));
      const options = { noEscape: true, strict: true, preventIndent: true };
      const made = templates.map(([, text]) => `[${JSON.stringify(text)}, ${Handlebars.precompile(text, options)}]`);
      return {
        resolveDir: root,
        contents:
          `import Handlebars from 'handlebars/runtime.js';\nconst templates = new Map([${made.join(',\n')}]);\n` +
          'export default { compile: (text) => Handlebars.template(templates.get(text)) };',
      };
    });
  },
};

/** Packages of one name and version are one package, wherever npm has put copies of it. */
const oneOfEach = {
  name: 'one-of-each',
  setup({ onResolve, resolve: find }) {
    const known = new Map();
    onResolve({ filter: /^(ajv|yaml)$/ }, async ({ path, pluginData, ...rest }) => {
      if (pluginData === 'found') return undefined;
      const found = await find(path, { ...rest, pluginData: 'found' });
      const folder = found.path.slice(
        0,
        found.path.lastIndexOf(`/node_modules/${path}/`) + `/node_modules/${path}`.length,
      );
      const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
      const first = known.get(`${path}@${version}`) ?? found.path;
      known.set(`${path}@${version}`, first);
      return { ...found, path: first };
    });
  },
};

/** A bundle as text. */
async function bundle(entry, format, define, plugins = []) {
  const options = { ...common, entryPoints: [join(root, entry)], write: false, format, define, plugins };
  const { outputFiles } = await build(options);
  return outputFiles[0].text;
}

const program = await bundle(
  'tools/cli/src/main.ts',
  'cjs',
  // the sources ask for their own place only to find files that are embedded here
  { BOXSHIP_VERSION: JSON.stringify(version), 'import.meta.url': 'undefined' },
  [madeModules, embeddedFiles, compiledTemplates, oneOfEach],
);
/**
 * What the program is behind: as a comment, which V8 skips, because start.ts compiles it with what it kept of an earlier run.
 * As a text in quotes it would take a fifth of the time to start.
 */
const MARK = '/* The program:';
const digest = createHash('sha256').update(program).digest('hex');
const define = { BOXSHIP_PROGRAM: JSON.stringify(digest), BOXSHIP_MARK: JSON.stringify(MARK.slice(3)) };
const start = await bundle('tools/cli/src/start/start.ts', 'esm', define);
mkdirSync(folder, { recursive: true });
const whole = `${shebang}\n${start}${MARK}\n${program.replaceAll('*/', '*\x7f/')}\n*/\n`;
// start.ts reads it as Latin-1, and V8 keeps a text with one wider character at twice the size; esbuild escapes all but RegExps
const wide = /.{0,40}[^\0-\x7f].{0,40}/.exec(whole);
if (wide) throw new Error(`${outfile} would not be ASCII: write \\u escapes in "${wide[0]}"`);
writeFileSync(outfile, whole);
chmodSync(outfile, 0o755);
for (const [schema, name] of [
  ['product-schema.json', 'boxship.schema.json'],
  ['recipe-schema.json', 'boxship-recipe.schema.json'],
]) {
  writeFileSync(join(folder, name), readFileSync(join(root, 'libs/catalog/src', schema), 'utf8'));
}
