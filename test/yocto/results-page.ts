import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { format } from 'prettier';
import { readResults, type Result } from './results.ts';

const PAGE = fileURLToPath(new URL('../../docs/yocto-results.md', import.meta.url));

/** docs/yocto-results.md, made of the kept results, when `BOXSHIP_YOCTO_WRITE_RESULTS` asks for it. */
export async function writeResultsPage(env = process.env): Promise<void> {
  if (!env['BOXSHIP_YOCTO_WRITE_RESULTS']) return;
  const results = await readResults();
  const text = [
    '# What real bitbake said',
    '',
    'Written by `BOXSHIP_YOCTO_WRITE_RESULTS=1 npm run test:yocto` from the checks that passed; nothing here is typed by hand.',
    'They hold for the layer as it was generated at that time; a later change of it makes a check run again.',
    'A check that is missing was not run or did not pass. Times are wall times on the machine of the run, which did other work.',
    '',
    ...sections(results),
  ].join('\n');
  await writeFile(PAGE, await format(text, { parser: 'markdown', printWidth: 120 }));
}

function sections(results: readonly Result[]): readonly string[] {
  const releases = [...new Set(results.map(({ name }) => name.split('/')[0]!))];
  return releases.flatMap((release) => {
    const own = results.filter(({ name }) => name.startsWith(`${release}/`));
    const layers = new Set(
      own.flatMap(({ layers: some }) =>
        Object.entries(some).map(([name, { branch, commit }]) => `- ${name} ${branch} ${commit}`),
      ),
    );
    return [
      `## ${release}`,
      '',
      '| check | seconds | when (UTC) | found |',
      '| --- | --- | --- | --- |',
      ...own.map(({ name, seconds, date, findings }) => {
        const found = Object.entries(findings).map(([key, value]) => `${key} ${value}`);
        return `| ${name.slice(release.length + 1)} | ${seconds} | ${date} | ${found.join(', ')} |`;
      }),
      '',
      'Against:',
      '',
      ...[...layers].sort(),
      '',
    ];
  });
}
