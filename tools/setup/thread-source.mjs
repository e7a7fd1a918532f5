// `import source from './x-thread.ts?thread'`: the program of a worker thread as text, bundled, for `new Worker(source,
// { eval: true })`. A thread must live in the one file that boxship.mjs is, and from sources Node cannot load TypeScript.
import { dirname, resolve } from 'node:path';
import { build } from 'esbuild';

const SUFFIX = '?thread';

/** The bundled program; CommonJS, since that is what a worker evaluates. */
async function bundle(path) {
  const { outputFiles } = await build({
    entryPoints: [path],
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node20.19',
    format: 'cjs',
    legalComments: 'none',
  });
  return outputFiles[0].text;
}

/** For esbuild. */
export const threadSources = {
  name: 'thread-sources',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /\?thread$/ }, ({ path, resolveDir }) => ({
      path: resolve(resolveDir, path.slice(0, -SUFFIX.length)),
      namespace: 'thread',
    }));
    onLoad({ filter: /.*/, namespace: 'thread' }, async ({ path }) => ({
      loader: 'text',
      contents: await bundle(path),
      watchFiles: [path],
    }));
  },
};

/** For vitest. */
export const threadSourcesForVite = {
  name: 'thread-sources',
  enforce: 'pre',
  resolveId(id, importer) {
    return id.endsWith(SUFFIX) && importer ? resolve(dirname(importer), id) : undefined;
  },
  async load(id) {
    if (!id.endsWith(SUFFIX)) return undefined;
    return `export default ${JSON.stringify(await bundle(id.slice(0, -SUFFIX.length)))};`;
  },
};
