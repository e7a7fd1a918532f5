import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect } from 'vitest';
import { runProgram } from '@boxship/host';
import { checkout, yoctoFolder, type Release } from './checkouts.ts';
import { META_BOXSHIP, engineNames, generateLayer, releaseNames, type GeneratedLayer } from './layers-under-test.ts';
import { proof } from './results.ts';

const GOLDEN = join(import.meta.dirname, '../golden/yocto');
const TOOLS = ['oelint-adv', 'oelint-parser', 'oelint-data'];
/** What oelint-adv imports; Debian 12 lacks anytree. */
const MODULES = ['anytree', 'argcomplete', 'colorama', 'urllib3', 'regex', 'deprecated'];

/** A Python with what oelint-adv imports: a virtual environment beside its checkout, else that of the machine. */
function python(): string {
  const own = join(yoctoFolder(), 'tools/venv/bin/python');
  return existsSync(own) ? own : 'python3';
}

async function pythonObstacle(): Promise<string | undefined> {
  const imports = await runProgram(python(), ['-c', `import ${MODULES.join(', ')}`], { accept: [0, 1] });
  if (imports.code === 0) return undefined;
  const venv = join(yoctoFolder(), 'tools/venv');
  return `oelint-adv needs Python modules: python3 -m venv ${venv} && ${venv}/bin/pip install ${MODULES.join(' ')}`;
}

const options = { release: undefined, checkouts: TOOLS, obstacle: pythonObstacle };

for (const release of releaseNames) {
  proof(`${release}/meta-boxship/oelint`, { ...options, inputs: () => [META_BOXSHIP, import.meta.filename] }, () =>
    lint(release, META_BOXSHIP),
  );
  for (const engine of engineNames) {
    describe(`${release}, ${engine}`, () => {
      let layer: GeneratedLayer;
      beforeAll(async () => {
        layer = await generateLayer(release, engine);
      });
      const inputs = () => [META_BOXSHIP, layer.path, import.meta.filename];
      proof(`${release}/${engine}/oelint`, { ...options, inputs }, () => lint(release, layer.path));
    });
  }
}

// what the layers of the sample products have not: bundles in the build, kernels of vendors, several engines
const goldens = [
  ['wrynose', 'settings-wrynose/meta-acme'],
  ['wrynose', 'two-engines-wrynose/meta-acme-gateway'],
  ['scarthgap', 'all-machines-scarthgap/meta-acme-gateway'],
] as const;
for (const [release, path] of goldens) {
  const folder = join(GOLDEN, path);
  const name = path.split('/')[0]!.replace(`-${release}`, '');
  proof(`${release}/${name}/oelint`, { ...options, inputs: () => [META_BOXSHIP, folder, import.meta.filename] }, () =>
    lint(release, folder),
  );
}

/** oelint-adv without a finding of any severity. Left out: the one rule that asks whether a homepage answers. */
async function lint(release: Release, layer: string) {
  const entries = await readdir(layer, { recursive: true });
  const files = entries
    .filter((name) => /\.(bb|bbappend|bbclass|inc|conf)$/.test(name))
    .map((name) => join(layer, name));
  const { code, stdout, stderr } = await runProgram(
    python(),
    [
      '-m', 'oelint_adv', '--quiet', '--release', release, '--suppress', 'oelint.vars.homepageping',
      '--constantmods', `+${join(META_BOXSHIP, 'oelint-constants.json')}`, '--', ...files,
    ],
    { env: { PYTHONPATH: TOOLS.map((name) => checkout(undefined, name)).join(':') }, accept: [0, 1, 2] },
  ); // prettier-ignore
  const findings = `${stdout.toString()}${stderr}`
    .split('\n')
    .filter(Boolean)
    .map((line) => line.replace(`${layer}/`, ''));
  expect({ code, findings }).toEqual({ code: 0, findings: [] });
  return { files: files.length, findings: 0 };
}
