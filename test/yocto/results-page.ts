import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runProgram } from '@boxship/host';
import { format } from 'prettier';
import { readResults, type Result } from './results.ts';

const PAGE = fileURLToPath(new URL('../../docs/yocto-results.md', import.meta.url));

/** docs/yocto-results.md, made of the kept results, when `BOXSHIP_YOCTO_WRITE_RESULTS` asks for it. */
export async function writeResultsPage(env = process.env): Promise<void> {
  if (!env['BOXSHIP_YOCTO_WRITE_RESULTS']) return;
  const before = await readFile(PAGE, 'utf8').catch(() => '');
  await writeFile(PAGE, await resultsPage(await readResults(), before, await checkNames()));
}

/** Set for the run that only lists the checks: nothing is cloned or built for it. */
export const LISTING = 'BOXSHIP_YOCTO_LISTING';

/** Names of all checks that there are, run or not, as `<release>/<subject>/<check>`. */
export async function checkNames(): Promise<ReadonlySet<string>> {
  const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
  const config = join(import.meta.dirname, 'vitest.config.ts');
  const { stdout } = await runProgram(process.execPath, [vitest, 'list', '--config', config, '--json'], {
    env: { [LISTING]: '1' },
  });
  const tests = JSON.parse(stdout.toString()) as readonly { readonly name: string }[];
  return new Set(tests.map(({ name }) => name.split(' > ').at(-1)!));
}

/**
 * The page; rows of the one before stay where nothing later is known, as do the commits that they were against. `checks`: names
 * of those that there are; the row of another one, which was renamed or is gone, is dropped.
 */
export async function resultsPage(
  results: readonly Result[],
  before: string,
  checks: ReadonlySet<string>,
): Promise<string> {
  const sections = new Map(
    [...before.matchAll(/^## (\w+)\n([^]*?)(?=^## |(?![^]))/gm)].map(([, release, text]) => [
      release!,
      sectionOf(text!),
    ]),
  );
  for (const { name, seconds, date, findings, layers } of results) {
    const [release, ...check] = name.split('/');
    const section = sections.get(release!) ?? { rows: new Map<string, string>(), against: new Set<string>() };
    sections.set(release!, section);
    const found = Object.entries(findings).map(([key, value]) => `${key} ${value}`);
    section.rows.set(check.join('/'), `| ${check.join('/')} | ${seconds} | ${date} | ${found.join(', ')} |`);
    for (const [layer, { branch, commit }] of Object.entries(layers))
      section.against.add(`- ${layer} ${branch} ${commit}`);
  }
  const text = [
    '# What real bitbake said',
    '',
    'Written by `BOXSHIP_YOCTO_WRITE_RESULTS=1 npm run test:yocto` from the checks that passed; nothing here is typed by hand.',
    'They hold for the layer as it was generated at that time; a later change of it makes a check run again, and until then its',
    'row stays with its date. A check that is missing was not run or did not pass. Times are wall times on the machine of the',
    'run, which did other work. In a build that opts in (check-layer-opted-in) a layer changes the recipes that it appends to, and',
    'so the test of signatures of yocto-check-layer fails as it must: `tests` are the others, which passed, `changes` is where',
    'every changed signature comes from.',
    ...[...sections].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([release, { rows, against }]) => [
      '',
      `## ${release}`,
      '',
      '| check | seconds | when (UTC) | found |',
      '| --- | --- | --- | --- |',
      ...[...rows].filter(([check]) => checks.has(`${release}/${check}`)).sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row),
      '',
      'Against:',
      '',
      ...[...against].sort(),
    ]),
    '',
  ].join('\n'); // prettier-ignore
  return await format(text, { parser: 'markdown', printWidth: 120 });
}

interface Section {
  /** Lines of the table by the check. */
  readonly rows: Map<string, string>;
  readonly against: Set<string>;
}

function sectionOf(text: string): Section {
  const lines = text.split('\n');
  const rows = lines.filter((line) => /^\| [\w-]+\//.test(line));
  return {
    rows: new Map(rows.map((row) => [row.split('|')[1]!.trim(), row])),
    against: new Set(lines.filter((line) => line.startsWith('- '))),
  };
}
