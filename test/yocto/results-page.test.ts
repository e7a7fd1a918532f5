import { expect, it } from 'vitest';
import { resultsPage } from './results-page.ts';

const result = (name: string, date: string) => ({
  name,
  date,
  seconds: 1.5,
  layers: { bitbake: { branch: '2.8', commit: 'a'.repeat(40) } },
  inputs: '',
  findings: { warnings: 0 },
});

it('the page of results keeps rows that no later run has repeated', async () => {
  const first = await resultsPage(
    [result('scarthgap/docker/parse', '2026-01-01T00:00'), result('scarthgap/docker/check-layer', '2026-01-01T00:01')],
    '',
  );
  expect(await resultsPage([], first)).toBe(first);
  const second = await resultsPage(
    [result('scarthgap/docker/parse', '2026-02-02T00:00'), result('wrynose/k3s/parse', '2026-02-02T00:01')],
    first,
  );
  const rows = second.split('\n').filter((line) => line.includes('2026-'));
  expect(
    rows.map((row) =>
      row
        .split('|')
        .slice(1, 4)
        .map((cell) => cell.trim()),
    ),
  ).toEqual([
    ['docker/check-layer', '1.5', '2026-01-01T00:01'],
    ['docker/parse', '1.5', '2026-02-02T00:00'],
    ['k3s/parse', '1.5', '2026-02-02T00:01'],
  ]);
  expect(second.match(/^## .*$/gm)).toEqual(['## scarthgap', '## wrynose']);
  expect(second.match(/^- bitbake 2\.8 a+$/gm)).toHaveLength(2);
});
