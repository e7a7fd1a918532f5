import { describe, expect, it } from 'vitest';
import {
  bitbakeString,
  bitbakeWords,
  findYoctoRelease,
  isYoctoName,
  packageVersion,
  yoctoLayers,
  yoctoReleases,
} from './index.ts';

describe('releases', () => {
  it('are found by their codename, and by nothing else', () => {
    expect(findYoctoRelease('wrynose').version).toBe('6.0');
    expect(() => findYoctoRelease('constructor')).toThrow(/no release "constructor"[^]*Known: master, scarthgap, whinlatter, wrynose\./);
  });

  it('have a branch in every layer', () => {
    for (const { branches } of Object.values(yoctoLayers)) {
      expect(Object.keys(branches).sort()).toEqual(Object.keys(yoctoReleases).sort());
    }
  });
}); // prettier-ignore

describe('texts of bitbake', () => {
  it.each([
    ['plain', '"plain"'],
    ['', '""'],
    ["it's", `"it's"`],
    ['say "hi"', `'say "hi"'`],
    ['a \\n in the middle', '"a \\n in the middle"'],
    ['Größe µ 大', '"Größe µ 大"'],
    ['$HOME and $ {x}', '"$HOME and $ {x}"'],
  ])('%j is %s', (text, quoted) => expect(bitbakeString(text, 'the text')).toBe(quoted));

  it.each([
    ['a\nb', /line break/], ['a\r', /line break/], ['a\u2028b', /line break/], ['\0', /control/], ['${S}', /expand/], ['${@1}', /expand/],
    [`"'`, /both kinds/], ['a\\', /backslash/], ['\ud800', /Unicode/],
  ])('%j cannot be said, and the error says why', (text, why) => {
    expect(() => bitbakeString(text, 'yocto.summary')).toThrow(expect.objectContaining({ code: 'BAD_BITBAKE_TEXT', message: expect.stringMatching(why) }) as Error);
  }); // prettier-ignore

  it('lists have a word on each line', () => {
    expect(bitbakeWords([])).toBe('""');
    expect(bitbakeWords(['a'])).toBe('"a"');
    expect(bitbakeWords(['a', 'b-${PN}'])).toBe('"\\\n    a \\\n    b-${PN} \\\n"');
    for (const word of ['a b', 'a"', "a'", 'a\n', 'a\\', '']) expect(() => bitbakeWords([word])).toThrow();
  });
});

it('names are overrides and packages at once', () => {
  for (const name of ['acme', 'acme-gateway', 'a1-b2']) expect(isYoctoName(name), name).toBe(true);
  for (const name of [
    '',
    'Acme',
    'a_b',
    'a.b',
    'a--b',
    '-a',
    'a-',
    '1a',
    'a b',
    'ä',
    'docker',
    'class-target',
    'a'.repeat(41),
  ]) {
    expect(isYoctoName(name), name).toBe(false);
  }
});

it.each([
  ['1.4.0', '1.4.0'],
  ['1.4.0-rc.1', '1.4.0~rc.1'],
  ['2024_05+b7', '2024.05+b7'],
])('the version %s is PV %s', (version, pv) => expect(packageVersion(version)).toBe(pv));
