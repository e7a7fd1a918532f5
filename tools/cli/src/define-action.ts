import type { Command } from 'commander';
import type { ExitCode } from './exit-codes.ts';
import { runSession, type ClassifyError, type GlobalOptions, type Session } from './session.ts';

/** Sets what a command does; its exit code becomes that of the process. `Arguments` are those of the command line. */
export function defineAction<Options extends object, Arguments extends readonly (string | undefined)[] = []>(
  command: Command,
  work: (session: Session, options: Options & GlobalOptions, ...given: Arguments) => Promise<ExitCode | void>,
  classify?: ClassifyError,
): void {
  command.action(async (...all: unknown[]) => {
    const given = all.slice(0, command.registeredArguments.length) as unknown as Arguments;
    const options = command.optsWithGlobals<Options & GlobalOptions>();
    process.exitCode = await runSession(options, (session) => work(session, options, ...given), classify);
  });
}

/** Examples at the end of `--help`: what to type, and what it does. */
export function examples(command: Command, lines: readonly (readonly [string, string])[]): void {
  const text = lines.map(([typed, what]) => `  ${typed}\n      ${what}\n`).join('');
  command.addHelpText('after', `\nExamples:\n${text}`);
}

/** For options that may come several times: `--ca a.pem --ca b.pem`. */
export function collect(value: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, value];
}
