import { UserError } from '@boxship/model';
import type { SerialConsole } from './serial-console.ts';

/** A shell on the serial console. */
export interface Shell {
  /** What a command printed, with its exit code. Lines that the system prints meanwhile are among them. */
  run(command: string, timeout?: number): Promise<{ readonly output: string; readonly code: number }>;
  /** The same, of a command that must succeed. Errors: COMMAND_FAILED with what it printed. */
  must(command: string, timeout?: number): Promise<string>;
}

const TIMEOUT = 60_000;

/** Logs in at the prompt of a getty, as a user without a password, and starts a plain shell that does not echo. */
export async function logIn(console: SerialConsole, timeout: number, user = 'root'): Promise<Shell> {
  await console.waitFor(/login:\s*$/, timeout);
  console.type(`${user}\n`);
  await console.waitFor(/[#$] $/, timeout);
  // The login shell edits and redraws its line; sh does not.
  console.type("exec sh\nstty -echo; PS1=''; PS2=''; echo shell-$((40 + 2))\n");
  await console.waitFor(/shell-42$/, timeout);
  let count = 0;
  const run: Shell['run'] = async (command, commandTimeout = TIMEOUT) => {
    count += 1;
    const lines: string[] = [];
    // The numbers are put together by the shell, so that an echoed line could never match.
    console.type(`echo begin-$((${count})); { ${command}\n}; echo end-$((${count}))-$?\n`);
    const begin = new RegExp(`begin-${count}$`);
    await console.waitFor(begin, commandTimeout);
    const end = new RegExp(`^(.*)end-${count}-(\\d+)$`);
    const last = await console.waitFor((line) => end.test(line) || (lines.push(line), false), commandTimeout);
    const [, rest = '', code] = end.exec(last)!;
    if (rest !== '') lines.push(rest); // a last line without a newline
    return { output: lines.join('\n'), code: Number(code) };
  };
  return {
    run,
    async must(command, commandTimeout) {
      const { output, code } = await run(command, commandTimeout);
      if (code !== 0) throw new UserError('COMMAND_FAILED', `"${command}" ended with exit code ${code}:\n${output}`);
      return output;
    },
  };
}
