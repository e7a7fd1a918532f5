import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileProgram } from './code-cache.ts';

/** SHA-256 of the program, and what it stands behind in this file; build.mjs puts both in. */
declare const BOXSHIP_PROGRAM: string;
declare const BOXSHIP_MARK: string;

const self = fileURLToPath(import.meta.url);
const file = readFileSync(self, 'latin1'); // esbuild writes ASCII
const start = file.indexOf(`/* ${BOXSHIP_MARK}\n`);
const line = file.slice(0, start).split('\n').length;
const text = file.slice(file.indexOf('\n', start) + 1, file.lastIndexOf('*/')).replaceAll('*\x7f/', '*/');

/** The first word, when it can be a command: each command has its own parts of the program to compile. */
const [command = ''] = process.argv.slice(2).filter((word) => /^[a-z-]{2,20}$/.test(word));
const cache = join(
  process.env['XDG_CACHE_HOME'] || join(process.env['HOME'] || homedir(), '.cache'),
  'boxship',
  'code',
);
const flags = [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''];
const wrapped = `(function (require, module, exports) {${text}\n})`;
const program = compileProgram(wrapped, { filename: self, lineOffset: line }, cache, [
  BOXSHIP_PROGRAM,
  command,
  ...flags,
]);
if (!program.isCached) {
  process.on('exit', (code) => {
    if (code === 0) program.save(); // a wrong command line is not worth a file
  });
}
const run = program.script.runInThisContext() as (require: NodeJS.Require, module: object, exports: object) => void;
const module = { exports: {} };
run(createRequire(import.meta.url), module, module.exports);
