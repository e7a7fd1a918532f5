import { readFile, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { beforeAll, describe, expect } from 'vitest';
import { dependencyLayers, inBuild, makeBuildFolder } from './build-folder.ts';
import type { Release } from './checkouts.ts';
import { META_BOXSHIP, engineNames, generateLayer, releaseNames, type GeneratedLayer } from './layers-under-test.ts';
import { restrictedSet, worldConfiguration } from './restricted-set.ts';
import { proof, type Findings } from './results.ts';

for (const release of releaseNames) {
  proof(`${release}/meta-boxship/check-layer`, { release, inputs: () => [META_BOXSHIP] }, () =>
    checkLayer(release, META_BOXSHIP, []),
  );
  for (const engine of engineNames) {
    describe(`${release}, ${engine}`, () => checkBothWays(release, engine, () => generateLayer(release, engine)));
  }
  describe(`${release}, every engine in one layer`, () => {
    const [first = '', ...others] = engineNames;
    checkBothWays(release, 'every-engine', () => generateLayer(release, first, { others }));
  });
}

function checkBothWays(release: Release, subject: string, generate: () => Promise<GeneratedLayer>): void {
  let layer: GeneratedLayer;
  beforeAll(async () => {
    layer = await generate();
  });
  const inputs = () => [META_BOXSHIP, layer.path];
  proof(`${release}/${subject}/check-layer`, { release, inputs }, () =>
    checkLayer(release, layer.path, [META_BOXSHIP]),
  );
  proof(`${release}/${subject}/check-layer-opted-in`, { release, inputs }, () => checkOptedIn(release, layer));
}

/**
 * The real yocto-check-layer, of one layer alone. It can be given several, but parses anew for each of them: what a layer adds
 * to the configuration is what bitbake's cache goes by. Only the parse before the layer is added can be shared, and is: without
 * the opt-in all layers of a release have one build folder, and one meta-boxship as their dependency.
 */
async function checkLayer(release: Release, layer: string, dependencies: readonly string[]): Promise<Findings> {
  const { code, report, tests, minutes } = await runChecker(release, 'check', layer, dependencies, []);
  const failed = report.split('\n').filter((line) => /\b(FAIL|ERROR|Error)\b/.test(line));
  expect({ code, failed, report: code === 0 ? '' : report.slice(-6000) }).toEqual({ code: 0, failed: [], report: '' });
  expect(new Set(tests.values())).toEqual(new Set(['ok']));
  return { tests: tests.size, minutes };
}

/**
 * The same with the settings of what a product includes in force before and after the layer is added, as in a distro that was
 * made for the product. The layer then appends to recipes, so that the checker must find changed signatures: all that it finds
 * may come from those recipes, and everything else must pass.
 */
async function checkOptedIn(release: Release, { path, optIn }: GeneratedLayer): Promise<Findings> {
  const folder = `check-${basename(path)}`;
  const { code, report, tests, minutes } = await runChecker(
    release,
    folder,
    path,
    [META_BOXSHIP],
    [`require ${optIn}`],
  );
  const unlike = [...tests].filter(([name, verdict]) => verdict !== (name === 'test_signatures' ? 'FAIL' : 'ok'));
  expect({ code, unlike, report: unlike.length === 0 ? '' : report.slice(-6000) }).toEqual({
    code: 2, // of a layer with a test that failed
    unlike: [],
    report: '',
  });
  const changed = [...report.matchAll(/^ {3}(\S+):\w+: [0-9a-f]{64} -> [0-9a-f]{64}$/gm)].map(([, recipe]) => recipe!);
  const appends = (await readdir(path, { recursive: true })).filter(
    (name) => name.startsWith('recipes-') && name.endsWith('.bbappend'),
  );
  expect([...new Set(changed)].sort()).toEqual(appends.map((name) => basename(name).split('_')[0]!).sort());
  const signatures = Number(/^(\d+) signatures changed/m.exec(report)![1]);
  return { tests: tests.size - 1, changes: [...new Set(changed)].join(' '), signatures, minutes };
}

interface Verdict {
  readonly code: number;
  readonly report: string;
  /** `ok`, `FAIL` or `ERROR` by the name of the test, without those that are not for such a layer. */
  readonly tests: ReadonlyMap<string, string>;
  readonly minutes: number;
}

async function runChecker(
  release: Release,
  folder: string,
  layer: string,
  dependencies: readonly string[],
  configuration: readonly string[],
): Promise<Verdict> {
  const set = await restrictedSet(release);
  const build = await makeBuildFolder(release, folder, {
    recipes: set.recipes,
    configuration: [
      'DISTRO_FEATURES:append = " virtualization seccomp ipv6 k3s"',
      // what the checker asks for where it compares signatures: its other runs then take the same parse
      'BB_SIGNATURE_HANDLER = "OEBasicHash"',
      ...worldConfiguration(set),
      ...configuration,
    ],
  });
  const log = join(build.path, 'check-layer.log');
  await rm(log, { force: true });
  const options = [
    '-d',
    '--no-auto-dependency',
    '--dependency',
    ...dependencyLayers(release),
    ...dependencies,
    '-o',
    log,
  ];
  const { code, text, seconds } = await inBuild(build, ['yocto-check-layer', ...options, '--', layer]);
  const report = await readFile(log, 'utf8').catch(() => text);
  const verdicts = report.matchAll(/^INFO: (test_\w+) \(.*\n(?:(?!INFO: ).*\n)*INFO: {2}\.\.\. (.+)/gm);
  // scarthgap's checker does not yet expect every layer to pass its test of patches
  const ok = ['ok', 'unexpected success'];
  const tests = new Map([...verdicts].map(([, name, verdict]) => [name!, ok.includes(verdict!) ? 'ok' : verdict!]));
  expect(tests.size, report.slice(-3000)).toBe(Number(/Ran (\d+) tests?/.exec(report)?.[1]));
  return { code: code!, report, tests, minutes: Math.round(seconds / 6) / 10 };
}
