import type { Location } from '@boxship/model';
import { interpolate, type Lookup } from './interpolation.ts';
import type { Report } from './report.ts';
import { decodeUtf8 } from './yaml-value.ts';

export interface EnvFileOptions {
  /** Path as the user knows it. */
  readonly file: string;
  readonly bytes: Uint8Array;
  /** Wins over what the file has defined so far when its values refer to variables. */
  readonly lookup: Lookup;
  /** `format: raw`: values are what stands behind the `=`, quotes and dollars included. */
  readonly raw?: boolean;
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', '"': '"', '\\': '\\', $: '$$',
}; // prettier-ignore

/**
 * Variables of an `.env` or `env_file`, in the syntax of Compose (docs.docker.com "env_file" syntax; compose-go's dotenv):
 * `KEY=value`, `KEY: value`, `export KEY=value`, `# comment`, `'literal'`, `"escapes and ${VAR}"`, quoted values over
 * several lines. Other than in Compose, a KEY without a value is an error: nothing comes from the build host.
 */
export function readEnvFile({ file, bytes, lookup, raw = false }: EnvFileOptions, report: Report): Map<string, string> {
  const text = decodeUtf8(file, bytes).replaceAll('\r\n', '\n');
  const variables = new Map<string, string>();
  let position = 0;
  const place = (offset: number): Location => {
    const before = text.slice(0, offset);
    const line = before.split('\n').length;
    return { file, line, column: offset - (before.lastIndexOf('\n') + 1) + 1 };
  };
  const skipLine = () => {
    const end = text.indexOf('\n', position);
    position = end < 0 ? text.length : end + 1;
  };
  const restOfLine = (): string => {
    const end = text.indexOf('\n', position);
    return text.slice(position, end < 0 ? text.length : end);
  };
  const expand = (value: string, offset: number): string => {
    const result = interpolate(value, (name) => lookup(name) ?? variables.get(name));
    for (const { code, message, hint } of result.problems) report.error(code, place(offset), message, hint);
    return result.text;
  };
  /** The value behind the opening quote at `position`; moves behind the closing one. */
  const quoted = (quote: string): string | undefined => {
    for (let end = position + 1; end < text.length; end++) {
      if (text[end] === '\\' && quote === '"') end++;
      else if (text[end] === quote) {
        const value = text.slice(position + 1, end);
        position = end + 1;
        return value;
      }
    }
    return undefined;
  };

  while (position < text.length) {
    const blank = /[ \t\n]*/y;
    blank.lastIndex = position;
    blank.exec(text);
    position = blank.lastIndex;
    if (position === text.length) break;
    if (text[position] === '#') {
      skipLine();
      continue;
    }
    const start = position;
    const head = /^(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.[\]-]*)[ \t]*(=|:(?=[ \t]|$))?/.exec(restOfLine());
    if (!head) {
      report.error('BAD_ENV_LINE', place(start), 'this is not KEY=value', 'Write KEY=value, or # before a comment.');
      skipLine();
      continue;
    }
    const key = head[1]!;
    if (!head[2]) {
      const rest = restOfLine().slice(head[0].length).trim();
      // what stands there may be a password: it is not shown
      const message = rest ? `"${key}" is followed by something else than "="` : `"${key}" has no value`;
      report.error('BAD_ENV_LINE', place(start), message, `Write ${key}=value; nothing is taken from the build host.`);
      skipLine();
      continue;
    }
    position += head[0].length;
    if (raw) {
      variables.set(key, restOfLine());
      skipLine();
      continue;
    }
    while (text[position] === ' ' || text[position] === '\t') position++;
    const valueStart = position;
    const quote = text[position];
    if (quote === '"' || quote === "'") {
      const value = quoted(quote);
      if (value === undefined) {
        report.error('BAD_ENV_LINE', place(valueStart), `the ${quote} of ${key} never closes`, 'Close it.');
        return variables;
      }
      if (!/^[ \t]*(?:#.*)?$/.test(restOfLine())) {
        report.error('BAD_ENV_LINE', place(position), `something follows the value of ${key}`, 'End the line after the quote.'); // prettier-ignore
      }
      skipLine();
      const escaped = value.replace(/\\(?:0(\d{0,3})|(["abfnrtv$\\]))/g, (_, octal?: string, letter?: string) =>
        letter === undefined ? String.fromCharCode(parseInt(octal || '0', 8)) : ESCAPES[letter]!,
      );
      variables.set(key, quote === "'" ? value : expand(escaped, valueStart));
    } else {
      // "VAR=VAL# not a comment", "VAR=VAL # comment"
      const value = restOfLine()
        .replace(/(?:^|[ \t])#.*$/, '')
        .trim();
      skipLine();
      variables.set(key, expand(value, valueStart));
    }
  }
  return variables;
}
