import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

interface Package {
  readonly folder: string;
  readonly name: string;
  readonly floor: number;
  readonly dependencies: readonly string[];
  readonly sources: readonly { readonly path: string; readonly text: string }[];
}

function readPackages(): readonly Package[] {
  return ['libs', 'tools'].flatMap((top) =>
    readdirSync(join(root, top))
      .map((name) => join(top, name))
      .filter((folder) => existsSync(join(root, folder, 'package.json')))
      .map((folder) => {
        const manifest = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
        const floor = (manifest.nx?.tags ?? []).find((tag: string) => tag.startsWith('floor:'));
        return {
          folder,
          name: manifest.name as string,
          floor: Number(floor?.slice('floor:'.length) ?? Number.NaN),
          dependencies: Object.keys(manifest.dependencies ?? {}),
          sources: readdirSync(join(root, folder, 'src'), { recursive: true })
            .map((path) => join(folder, 'src', String(path)))
            .filter((path) => path.endsWith('.ts'))
            .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') })),
        };
      }),
  );
}

const packages = readPackages();
const byName = new Map(packages.map((one) => [one.name, one]));
const importsOf = (text: string) => [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1]!);

describe('the floors of the house', () => {
  it('has a floor for every package', () => {
    expect(packages.filter(({ floor }) => Number.isNaN(floor)).map(({ name }) => name)).toEqual([]);
    expect(packages.length).toBeGreaterThan(10);
  });

  it('imports go down, never sideways', () => {
    const wrong = packages.flatMap((from) =>
      from.sources.flatMap(({ path, text }) =>
        importsOf(text)
          .map((name) => byName.get(name))
          .filter((to) => to !== undefined && to.name !== from.name && to.floor >= from.floor)
          .map((to) => `${path} (floor ${from.floor}) imports ${to!.name} (floor ${to!.floor})`),
      ),
    );
    expect(wrong).toEqual([]);
  });

  it('a package declares what it imports, and enters others by the front door', () => {
    const wrong = packages.flatMap(({ name, dependencies, sources }) =>
      sources.flatMap(({ path, text }) =>
        importsOf(text)
          .filter((target) => target.startsWith('@boxship/') || byName.has(target))
          .filter((target) => target !== name && !(byName.has(target) && dependencies.includes(target)))
          .map((target) => `${path} imports ${target}`),
      ),
    );
    expect(wrong).toEqual([]);
  });

  it('only host starts programs', () => {
    const wrong = packages
      .filter(({ name }) => name !== '@boxship/host')
      .flatMap(({ sources }) => sources)
      .filter(({ path }) => !path.endsWith('.test.ts') && !path.includes('/testing/'))
      .filter(({ text }) => importsOf(text).some((name) => name === 'node:child_process' || name === 'child_process'))
      .map(({ path }) => path);
    expect(wrong).toEqual([]);
  });

  it('has no drawers and no file that grew past 400 lines', () => {
    const all = packages.flatMap(({ sources }) => sources);
    expect(all.map(({ path }) => path).filter((path) => /\b(utils?|common|helpers?|misc)\b/.test(path))).toEqual([]);
    expect(all.filter(({ text }) => text.split('\n').length > 401).map(({ path }) => path)).toEqual([]);
  });
});
