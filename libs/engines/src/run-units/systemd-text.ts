/* Text in the syntax of systemd units: systemd.syntax(7) "Quoting", systemd.service(5) "Command lines". */

/** The longest line that systemd reads (LONG_LINE_MAX, src/basic/fileio.h): 1 MiB. */
const LONGEST_LINE = 1024 * 1024;

const PLAIN = /^[A-Za-z0-9_\-./:=@+,]+$/;

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n', '\t': '\\t', '\r': '\\r', '%': '%%', $: '$$' }; // prettier-ignore

/** One argument of an Exec line that reaches the program as it is: no specifier, no variable, no separator in it. */
export function quoteArgument(argument: string): string {
  if (PLAIN.test(argument)) return argument;
  const escaped = argument.replace(
    /[\\"%$\u0000-\u001f\u007f]/g, // eslint-disable-line no-control-regex
    (char) => ESCAPES[char] ?? `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return `"${escaped}"`;
}

/**
 * A command line. `prefix` is systemd's own (`-`: a failure is no failure). More than three arguments stand on lines of
 * their own, which systemd joins with spaces.
 */
export function commandLine(program: string, args: readonly string[], prefix: '' | '-' = ''): string {
  if (!/^\/[A-Za-z0-9_\-./+]+$/.test(program)) throw new Error(`not the absolute path of a program: ${program}`);
  if (args.some((arg) => arg.includes('\0'))) throw new Error('an argument holds a NUL character');
  const words = args.map(quoteArgument);
  const line = `${prefix}${[program, ...words].join(words.length > 5 ? ' \\\n  ' : ' ')}`;
  // systemd counts the joined line, in bytes
  if (Buffer.byteLength(line) > LONGEST_LINE - 100) throw new Error(`the command line has ${line.length} characters`);
  return line;
}

/** Text of a setting that is shown to people: one line, no specifier. */
export function settingText(text: string): string {
  return text.replace(/\s+/g, ' ').replaceAll('%', '%%').replace(/\\$/, '');
}

/** A name that can stand in the name of a unit (systemd.unit(5): letters, digits, `:-_.\`). */
export function checkUnitName(name: string): string {
  if (/^[A-Za-z0-9:_.-]+$/.test(name) && name.length < 240) return name;
  throw new Error(`"${name}" cannot stand in the name of a unit`);
}
