import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  Scalar,
  type Alias,
  type Document,
  type Node,
} from 'yaml';
import { UserError, type Location } from '@boxship/model';
import type { InterpolationProblem } from './interpolation.ts';
import type { Report } from './report.ts';

/** A YAML value that knows its place. Aliases and merge keys (`<<`) are resolved; what an anchor holds is shared. */
export type Value = ScalarValue | ListValue | MapValue;

/** What an override file does to the value below it, in place of merging: take it out, or take its place (13-merge.md). */
export type MergeTag = 'reset' | 'override';

export interface ScalarValue {
  readonly kind: 'scalar';
  readonly value: string | number | boolean | null;
  /** As it stands in the file; equals `value` for a string. */
  readonly text: string;
  /** Without quotes, so that its looks decide its type. */
  readonly plain: boolean;
  readonly where: Location;
  readonly tag?: MergeTag;
  /** Holds the value of a variable, so that its looks do not decide its type. */
  readonly interpolated?: true;
  /** Variables in it that are not set: told when the value turns out to be used. */
  readonly unset?: readonly InterpolationProblem[];
}

export interface ListValue {
  readonly kind: 'list';
  readonly items: readonly Value[];
  readonly where: Location;
  readonly tag?: MergeTag;
}

export interface MapValue {
  readonly kind: 'map';
  readonly entries: ReadonlyMap<string, MapEntry>;
  readonly where: Location;
  readonly tag?: MergeTag;
}

export interface MapEntry {
  /** Place of the key. */
  readonly where: Location;
  readonly value: Value;
}

/** A Compose file is written by hand: what is larger is something else. */
const MAX_BYTES = 4 * 1024 * 1024;
/** Values after all aliases are resolved (docker's own limit for a file's nodes is of this order). */
const MAX_VALUES = 200_000;

/** Text of a file in UTF-8; otherwise BAD_ENCODING with the line of the first bad byte. */
export function decodeUtf8(file: string, bytes: Uint8Array): string {
  if (bytes.length > MAX_BYTES) {
    throw new UserError('FILE_TOO_LARGE', `${file} has ${bytes.length} bytes, the limit is ${MAX_BYTES}`, 'Is it the right file?', { file }); // prettier-ignore
  }
  const decoder = new TextDecoder('utf-8', { fatal: true });
  try {
    return decoder.decode(bytes);
  } catch {
    let line = 1;
    for (let start = 0; start < bytes.length; line++) {
      const end = bytes.indexOf(0x0a, start);
      const next = end < 0 ? bytes.length : end + 1;
      try {
        decoder.decode(bytes.subarray(start, next));
      } catch {
        break;
      }
      start = next;
    }
    throw new UserError('BAD_ENCODING', 'the file is not UTF-8', 'Save it as UTF-8 (iconv -t UTF-8).', { file, line });
  }
}

const TAGS: Readonly<Record<string, MergeTag>> = { '!reset': 'reset', '!override': 'override' };

/**
 * The documents of a YAML file: Compose merges the later ones over the earlier. Empty when the syntax is so wrong that
 * nothing can be read, which is told.
 */
export function readYaml(file: string, bytes: Uint8Array, report: Report): readonly Value[] {
  const text = decodeUtf8(file, bytes);
  const lines = new LineCounter();
  const place = (offset: number): Location => {
    const { line, col } = lines.linePos(offset);
    return { file, line, column: col };
  };
  let documents: readonly Document.Parsed[];
  try {
    const parsed = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
    documents = Array.isArray(parsed) ? parsed : [];
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // the parser is recursive
    report.error('BAD_YAML', { file }, 'the file nests too deeply', 'Write it flatter.');
    return [];
  }
  for (const document of documents) {
    for (const { message, pos } of document.errors) {
      report.error('BAD_YAML', place(pos[0]), message, 'Mend the YAML; tabs cannot indent, and lists need "- ".');
    }
  }
  if (documents.some((document) => document.errors.length > 0)) return [];
  const written = documents.filter((document) => document.contents);
  if (written.length === 0) {
    report.error('EMPTY_FILE', { file, line: 1, column: 1 }, 'the file is empty', 'Write "services:" and at least one service.'); // prettier-ignore
  }
  const values = written.map((document) => convert(document, place, report));
  return values.includes(undefined) ? [] : (values as Value[]);
}

function convert(document: Document.Parsed, place: (offset: number) => Location, report: Report): Value | undefined {
  const done = new Map<Node, { value: Value; size: number }>();
  const open = new Set<Node>();
  let unusable = false;
  let total = 0;
  const at = (node: Node | null | undefined, fallback: Location) => (node?.range ? place(node.range[0]) : fallback);

  const visit = (node: Node | null, fallback: Location): Value => {
    const where = at(node, fallback);
    const empty = { kind: 'scalar', value: null, text: '', plain: true, where } as const;
    if (!node) return empty;
    if (isAlias(node)) {
      const target = node.resolve(document) as Node | undefined;
      if (!target) {
        unusable = true;
        report.error(
          'BAD_YAML',
          where,
          `there is no anchor "${node.source}"`,
          'Correct the name, or add the anchor above.',
        );
        return empty;
      }
      if (open.has(target)) {
        report.error('BAD_YAML', where, `the anchor "${node.source}" contains itself`, 'Write the value out.', anchorOf(node, where)); // prettier-ignore
        return empty;
      }
      const { value, size } = done.get(target)!; // an anchor stands above its aliases
      count(size, where, node);
      return value;
    }
    const before = total;
    count(1, where);
    open.add(node);
    const value = tagged(node, visitNode(node, where));
    open.delete(node);
    done.set(node, { value, size: total - before });
    return value;
  };

  const anchorOf = (alias: Alias, fallback: Location) => [
    { what: `the anchor "${alias.source}"`, where: at(alias.resolve(document) as Node | undefined, fallback) },
  ];

  /** Counts values as they are read: the one that is too many is told, and the anchor that it stands for. */
  const count = (added: number, where: Location, alias?: Alias): void => {
    total += added;
    if (total <= MAX_VALUES || unusable) return;
    unusable = true;
    if (alias) {
      report.error('TOO_MANY_VALUES', where, `aliases make more than ${MAX_VALUES} values of this file: this one stands for ${added}`, 'Use fewer aliases of aliases.', anchorOf(alias, where)); // prettier-ignore
    } else {
      report.error('TOO_MANY_VALUES', where, `the file has more than ${MAX_VALUES} values`, 'Is it the right file? A Compose file is written by hand.'); // prettier-ignore
    }
  };

  const tagged = (node: Node, value: Value): Value => {
    const { tag } = node as { tag?: string };
    if (tag === undefined || tag.startsWith('tag:yaml.org,2002:')) return value;
    if (Object.hasOwn(TAGS, tag)) return { ...value, tag: TAGS[tag]! };
    report.error('BAD_YAML', value.where, `there is no tag "${tag}" in a Compose file`, 'Known: !reset and !override; quote a value that begins with "!".'); // prettier-ignore
    return value;
  };

  const reportDuplicate = (name: string, where: Location, first: Location) =>
    report.error('DUPLICATE_KEY', where, `"${name}" stands twice in one map`, 'Remove one of the two.', [
      { what: `the first "${name}"`, where: first },
    ]);

  const visitNode = (node: Node, where: Location): Value => {
    if (isSeq(node)) {
      return { kind: 'list', items: node.items.map((item) => visit(item as Node | null, where)), where };
    }
    if (isMap(node)) {
      const entries = new Map<string, MapEntry>();
      const merged: MapValue[] = [];
      let mergeKey: Location | undefined;
      for (const { key, value } of node.items) {
        const keyNode = key as Node | null;
        const keyPlace = at(keyNode, where);
        const read = visit(value as Node | null, keyPlace);
        if (!isScalar(keyNode) || keyNode.value === null) {
          report.error('BAD_KEY', keyPlace, 'a key of this map is not a word', 'Write the key as a plain string.');
        } else if (keyNode.value === '<<' && keyNode.type === Scalar.PLAIN) {
          if (mergeKey) reportDuplicate('<<', keyPlace, mergeKey);
          mergeKey ??= keyPlace;
          for (const source of read.kind === 'list' ? read.items : [read]) {
            if (source.kind === 'map') merged.push(source);
            else
              report.error('BAD_MERGE', source.where, 'only maps can be merged with "<<"', 'Merge an anchor of a map.');
          }
        } else {
          const name = keyNode.source ?? String(keyNode.value);
          const other = entries.get(name);
          if (other) reportDuplicate(name, keyPlace, other.where);
          entries.set(name, { where: keyPlace, value: read });
        }
      }
      // yaml.org/type/merge.html: own keys win, and of several merged maps the earlier one
      for (const source of merged) {
        for (const [name, entry] of source.entries) if (!entries.has(name)) entries.set(name, entry);
      }
      return { kind: 'map', entries, where };
    }
    const scalar = node as Scalar;
    const raw = scalar.value;
    const value = typeof raw === 'number' || typeof raw === 'boolean' || raw === null ? raw : String(raw);
    const plain = scalar.type === Scalar.PLAIN;
    return { kind: 'scalar', value, text: scalar.source ?? String(raw), plain, where };
  };
  const value = visit(document.contents as Node, place(0));
  return unusable ? undefined : value;
}
