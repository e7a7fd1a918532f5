import { describe, expect, it } from 'vitest';
import type { UserError } from '@boxship/model';
import { parseJsonText } from './json-text.ts';

const fault = (text: string): UserError => {
  try {
    parseJsonText('image.json', text);
  } catch (error) {
    return error as UserError;
  }
  return expect.fail('no error');
};

describe('a JSON text', () => {
  it.each([
    '{}', '[]', ' [1, -2.5e+3, 0] ', '"\\u00e9\\n\\"\\\\\\/ é \u007f\u0085"', 'null', '{"a":{"b":[true,false,{"c":""}]}}', '\t{\r\n"a" :1}\n', '"\\ud83d\\ude00😀"',
  ])('%s is what JSON.parse makes of it', (text) => {
    expect(parseJsonText('x', text).value).toEqual(JSON.parse(text));
  }); // prettier-ignore

  it.each(['', '{', '[1,]', '{"a":1,}', "{'a':1}", '{a:1}', '01', '1.', '"\n"', '"\\x"', 'nul', '{} {}', '// c\n{}', '+1', '"a'])(
    '%s is none, for JSON.parse too',
    (text) => {
      expect(() => JSON.parse(text)).toThrow();
      expect(fault(text).code).toBe('BAD_JSON');
    },
  ); // prettier-ignore

  it('knows where its values stand', () => {
    const text = '{\n  "a": [\n    1, {"b/c": "x"}\n  ]\n}\n';
    const { locate } = parseJsonText('image.json', text);
    expect(locate(['a', 1, 'b/c'])).toEqual({ file: 'image.json', line: 3, column: 16 });
    expect(locate(['a', 0])).toEqual({ file: 'image.json', line: 3, column: 5 });
    expect(locate(['a', 'none'])).toEqual({ file: 'image.json', line: 2, column: 8 });
    expect(locate([])).toEqual({ file: 'image.json', line: 1, column: 1 });
  });

  it('says where it stops being one', () => {
    expect(fault('{\n "a": 1,\n}\n').message).toBe(
      'image.json:3:1: "}" stands where a name in quotes must be\n  hint: JSON has no comments and no comma after the last value.',
    );
    expect(fault('{"a": 1, "a": 2}').message).toMatch(/^image\.json:1:10: "a" comes twice in one object/);
    expect(fault('['.repeat(100_000)).message).toContain('more than 64 values inside of each other');
    expect(fault('[1').message).toContain('1:3: the file ends where "," or "]" must be');
  });

  it('has no prototype to be changed', () => {
    const { value } = parseJsonText('x', '{"__proto__": {"polluted": 1}}');
    expect(Object.keys(value as object)).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});
