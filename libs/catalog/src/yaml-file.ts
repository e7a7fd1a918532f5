import { LineCounter, isMap, isScalar, parseDocument, visit, type Document } from 'yaml';
import { UserError, type Location, type Problem } from '@boxship/model';

/** A parsed YAML file that knows where each of its values stands. */
export interface YamlFile {
  readonly file: string;
  readonly value: unknown;
  /** Place of the value at `path`; with `key`, of its key in the map. A missing path gives its nearest parent. */
  locate(path: readonly (string | number)[], key?: boolean): Location;
}

/** Parses one YAML document; syntax errors and duplicate keys are UserErrors with their places, all at once. */
export function parseYaml(file: string, text: string): YamlFile {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, uniqueKeys: true });
  const place = (offset: number): Location => {
    const { line, col } = counter.linePos(offset);
    return { file, line, column: col };
  };
  if (document.errors.length > 0) {
    throw new UserError(
      document.errors.map((error): Problem => ({
        ...(error.code === 'DUPLICATE_KEY'
          ? {
              code: 'DUPLICATE_KEY',
              message: `the key "${/^[^\s:#]*/.exec(text.slice(error.pos[0]))![0]}" comes twice in one map`,
              hint: 'Keep one of them: YAML does not say which would count.',
              also: [{ what: 'the first of them', where: place(firstOf(document, error.pos[0])) }],
            }
          : { code: 'BAD_YAML', message: error.message, hint: 'Look at the indentation and the quotes there.' }),
        where: place(error.pos[0]),
      })),
    );
  }
  let nameless: number | undefined;
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    // aliases that name nothing, or that multiply without end; nesting deeper than the stack
    if (!(error instanceof ReferenceError || error instanceof RangeError)) throw error;
    visit(document, {
      Alias(_key, alias) {
        if (alias.range && !alias.resolve(document)) nameless ??= alias.range[0];
      },
    });
    const where = { file, ...(nameless === undefined ? {} : place(nameless)) };
    throw new UserError('BAD_YAML', error.message, 'Write the values out, without anchors and aliases.', where);
  }
  return {
    file,
    value,
    locate: (path, key) => place(offsetOf(document, path, key)),
  };
}

/** Where the key stands first that the map has again at `offset`. */
function firstOf(document: Document, offset: number): number {
  let first = offset;
  visit(document, {
    Map(_key, { items }) {
      const keys = items.flatMap(({ key }) =>
        isScalar(key) && key.range ? [{ name: key.value, at: key.range[0] }] : [],
      );
      const again = keys.find(({ at }) => at === offset);
      if (again) first = keys.find(({ name }) => name === again.name)!.at;
    },
  });
  return first;
}

function offsetOf(document: Document, path: readonly (string | number)[], key = false): number {
  for (let length = path.length; length >= 0; length--) {
    const parent = document.getIn(path.slice(0, length - 1), true);
    if (length > 0 && (key || length < path.length) && isMap(parent)) {
      const pair = parent.items.find(
        (item) => isScalar(item.key) && String(item.key.value) === String(path[length - 1]),
      );
      if (pair && isScalar(pair.key) && pair.key.range) return pair.key.range[0];
    }
    const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    const range = (node as { range?: readonly [number, number, number] } | null | undefined)?.range;
    if (range) return range[0];
  }
  return 0;
}
