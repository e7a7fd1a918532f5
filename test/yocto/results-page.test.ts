import { expect, it } from 'vitest';
import { checkNames, resultsPage } from './results-page.ts';

const result = (name: string, date: string) => ({
  name,
  date,
  seconds: 1.5,
  layers: { bitbake: { branch: '2.8', commit: 'a'.repeat(40) } },
  inputs: '',
  findings: { warnings: 0 },
});

const checks = new Set(['scarthgap/docker/parse', 'scarthgap/docker/check-layer', 'wrynose/k3s/parse']);

it('the page of results keeps rows that no later run has repeated', async () => {
  const first = await resultsPage(
    [result('scarthgap/docker/parse', '2026-01-01T00:00'), result('scarthgap/docker/check-layer', '2026-01-01T00:01')],
    '',
    checks,
  );
  expect(await resultsPage([], first, checks)).toBe(first);
  const second = await resultsPage(
    [result('scarthgap/docker/parse', '2026-02-02T00:00'), result('wrynose/k3s/parse', '2026-02-02T00:01')],
    first,
    checks,
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

it('the page of results drops the row of a check that is no more', async () => {
  const kept = [
    result('scarthgap/docker/check-layer', '2026-01-01T00:00'),
    result('scarthgap/docker/dry-run', '2026-01-01T00:01'),
  ];
  const before = await resultsPage(kept, '', new Set([...checks, 'scarthgap/docker/dry-run']));
  expect(before).toContain('docker/dry-run');
  for (const results of [kept, []]) {
    const after = await resultsPage(results, before, checks);
    expect(after).toBe(before.replace(/^.*docker\/dry-run.*\n/m, ''));
  }
});

it('the checks that the page knows are those of the test files', async () => {
  const names = [...(await checkNames())];
  expect(names).toEqual(expect.arrayContaining(['wrynose/docker/check-layer', 'master/k3s/parse', expect.any(String)]));
  expect(names).not.toContain('scarthgap/docker/dry-run');
}, 300_000);
