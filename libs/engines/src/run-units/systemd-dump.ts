import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';

export const SYSTEMD = '/lib/systemd/systemd';

/**
 * For tests: what a real systemd reads of the units in `folder` when `unit` is started, without starting anything. The answer
 * gives the words of every Exec line of a unit, in order. Others must be able to enter the folder: the test mode is for plain users.
 */
export async function commandLinesOf(folder: string, unit: string): Promise<(unit: string) => string[][]> {
  await mkdir(join(folder, 'run'), { recursive: true });
  await chmod(join(folder, 'run'), 0o777);
  const test = [SYSTEMD, '--test', '--user', `--unit=${unit}`];
  const command = process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', ...test] : test; // prettier-ignore
  const result = await runProgram(command[0]!, command.slice(1), {
    env: { XDG_RUNTIME_DIR: join(folder, 'run'), SYSTEMD_UNIT_PATH: `${folder}:`, SYSTEMD_LOG_TARGET: 'console' },
  });
  const dump = result.stdout.toString();
  return (name) => {
    const from = dump.indexOf(`-> Unit ${name}:`);
    if (from < 0) throw new Error(`systemd has no unit ${name}:\n${result.stderr}`);
    const part = dump.slice(from, dump.indexOf('-> Unit ', from + 1));
    return [...part.matchAll(/^\s+Command Line: (.*)$/gm)].map(([, line]) => readDumpedCommand(line!));
  };
}

/** The words of a "Command Line" that systemd dumps: quoted where needed, escapes as in C; `$$` is `$` when it is run. */
function readDumpedCommand(line: string): string[] {
  const words = line.match(/"(?:\\.|[^"\\])*"|[^\s"]+/g) ?? [];
  const escapes: Record<string, string> = { n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v' };
  return words.map((word) =>
    Buffer.from(
      word
        .replace(/^"(.*)"$/s, '$1')
        .replace(
          /\\(?:([0-7]{3})|x([0-9a-f]{2})|(.))/g,
          (_, octal?: string, hex?: string, letter?: string) =>
          octal ? String.fromCharCode(parseInt(octal, 8)) : hex ? String.fromCharCode(parseInt(hex, 16)) : (escapes[letter!] ?? letter!), // prettier-ignore
        )
        .replaceAll('$$', '$'),
    ).toString(),
  );
}
