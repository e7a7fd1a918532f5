// Builds dist/bench/{main,floor,plain-write}.mjs, because Node 20 does not run TypeScript.
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { madeModules } from '../setup/made-modules.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

await build({
  entryPoints: [here('src/main.ts'), here('src/floor.ts'), here('src/plain-write.ts')],
  outdir: here('../../dist/bench'),
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  format: 'esm',
  plugins: [madeModules],
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
});
