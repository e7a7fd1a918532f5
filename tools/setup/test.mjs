// `npm test`: everything that proves Boxship, by stages; the last line tells. `node tools/setup/test.mjs unit build` runs
// those stages alone.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { check, root, vitest } from './test-stage.mjs';

const node = (path, ...args) => [process.execPath, path, ...args];
const bin = (name) => {
  const { bin: programs } = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8'));
  return join(
    'node_modules',
    name,
    typeof programs === 'string' ? programs : programs[name === 'typescript' ? 'tsc' : name],
  );
};

mkdirSync(join(root, '.nx'), { recursive: true });
/** Stages one after another; those of one list at the same time: each of the checks keeps one core busy. */
const turns = [
  [
    check('format', node(bin('prettier'), '--check', '--log-level=warn', '.')),
    // the rule of the floors reads the project graph, which `nx show projects` writes
    check('lint', node(bin('nx'), 'show', 'projects'), node(bin('eslint'), '.', '--max-warnings', '0')),
    check('types', node(bin('typescript'), '-b'), node(bin('typescript'), '-p', 'test')),
  ],
  [vitest('unit')],
  [vitest('engines', '--config', 'test/engines/vitest.config.ts')],
  [check('build', node(bin('nx'), 'run', '@boxship/cli:build'))],
  existsSync(join(root, 'test', 'product')) ? [vitest('product', '--config', 'test/product/vitest.config.ts')] : [],
];
const stages = turns.flat();

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !stages.some((stage) => stage.name === name));
if (unknown.length > 0) {
  console.error(`no stage ${unknown.join(', ')}; there are ${stages.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}

const total = { passed: 0, failed: 0, skipped: 0 };
const table = [];
async function run({ name, run: work }) {
  console.log(`\n=== ${name}`);
  const began = Date.now();
  const counts = await work();
  for (const key of Object.keys(total)) total[key] += counts[key];
  const seconds = ((Date.now() - began) / 1000).toFixed(1);
  const result = counts.failed === 0 ? 'ok' : 'FAILED';
  table.push([name, `${seconds} s`, result]);
  console.log(`=== ${name}: ${result}, ${seconds} s`);
}
for (const turn of turns) {
  await Promise.all(turn.filter(({ name }) => asked.length === 0 || asked.includes(name)).map(run));
}

console.log('');
for (const [name, seconds, result] of table) console.log(`${name.padEnd(10)}${seconds.padStart(10)}  ${result}`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed === 0 ? 0 : 1);
