import { describe, expect, it } from 'vitest';
import { checkSocketNeeds, socketWarnings } from './device-checks.ts';
import { exampleFacts } from './example-facts.ts';

describe('checkSocketNeeds', () => {
  it.each([
    ['another init', { init: 'other' as const }, 'does not start with systemd'],
    ['OSTree', { ostree: true }, 'OSTree'],
    ['no openssl', { programs: { ...exampleFacts.programs, openssl: undefined as never } }, 'lacks openssl'],
  ])('%s', (_name, change, message) => {
    checkSocketNeeds(exampleFacts);
    expect(() => checkSocketNeeds({ ...exampleFacts, ...change })).toThrow(message);
  });
});

describe('socketWarnings', () => {
  it('warns of a base without a tool to grow', () => {
    expect(socketWarnings(exampleFacts)).toEqual([]);
    expect(socketWarnings({ ...exampleFacts, programs: {} }).map(({ code }) => code)).toEqual(['CANNOT_GROW']);
    expect(socketWarnings({ ...exampleFacts, programs: { 'systemd-growfs': '/x' } })).toEqual([]);
  });
});
