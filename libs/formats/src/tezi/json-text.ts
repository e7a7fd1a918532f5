import { UserError, type Location } from '@boxship/model';

/** A parsed JSON text (RFC 8259) that knows where each of its values stands. */
export interface JsonText {
  readonly value: unknown;
  /** Place of the value at `path`; a missing path gives its nearest parent. */
  locate(path: readonly (string | number)[]): Location;
}

/** Nesting that no configuration has; deeper text would only fill the stack. */
const MAX_DEPTH = 64;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|\x7f|[\x80-\x9f])*"/uy;
const LITERALS: readonly (readonly [string, unknown])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
];

/** Parses strictly. Errors: BAD_JSON and DUPLICATE_KEY, with `file:line:col`. */
export function parseJsonText(file: string, text: string): JsonText {
  const places = new Map<string, number>();
  let at = text.startsWith('\uFEFF') ? 1 : 0;
  const place = (offset: number): Location => {
    const lines = text.slice(0, offset).split('\n');
    return { file, line: lines.length, column: lines.at(-1)!.length + 1 };
  };
  const fail = (what: string, offset = at, code = 'BAD_JSON'): never => {
    const hint = 'JSON has no comments and no comma after the last value.';
    throw new UserError(code, what, hint, place(offset));
  };
  const space = () => {
    while (' \t\r\n'.includes(text[at] ?? 'x')) at += 1;
  };
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    at += found?.length ?? 0;
    return found;
  };
  const found = () => (at >= text.length ? 'the file ends' : `"${text[at]}" stands`);
  /** Values between brackets; `one` reads one of them. */
  const list = (close: string, one: () => void) => {
    at += 1;
    space();
    if (text[at] === close) return void (at += 1);
    for (;;) {
      one();
      space();
      const next = text[at];
      if (next !== ',' && next !== close) fail(`${found()} where "," or "${close}" must be`);
      at += 1;
      if (next === close) return;
      space();
    }
  };
  const value = (path: string, depth: number): unknown => {
    space();
    places.set(path, at);
    if (depth > MAX_DEPTH) fail(`more than ${MAX_DEPTH} values inside of each other`);
    if (text[at] === '{') {
      const object = new Map<string, unknown>();
      list('}', () => {
        const start = at;
        const written = match(STRING) ?? fail(`${found()} where a name in quotes must be`);
        const name = JSON.parse(written) as string;
        if (object.has(name)) fail(`"${name}" comes twice in one object`, start, 'DUPLICATE_KEY');
        space();
        if (text[at] !== ':') fail(`${found()} where ":" must be`);
        at += 1;
        object.set(name, value(pointer(path, name), depth + 1));
      });
      return Object.fromEntries(object);
    }
    if (text[at] === '[') {
      const array: unknown[] = [];
      list(']', () => array.push(value(pointer(path, array.length), depth + 1)));
      return array;
    }
    for (const [word, meaning] of LITERALS) {
      if (text.startsWith(word, at)) return ((at += word.length), meaning);
    }
    const scalar = match(STRING) ?? match(NUMBER) ?? fail(`${found()} where a value must be`);
    return JSON.parse(scalar);
  };
  const whole = value('', 0);
  space();
  if (at < text.length) fail(`${found()} after the end of the value`);
  return {
    value: whole,
    locate(path) {
      for (let length = path.length; length > 0; length--) {
        const offset = places.get(path.slice(0, length).reduce<string>(pointer, ''));
        if (offset !== undefined) return place(offset);
      }
      return place(places.get('')!);
    },
  };
}

function pointer(path: string, name: string | number): string {
  return `${path}/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}
