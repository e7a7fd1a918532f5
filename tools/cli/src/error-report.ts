import { CosignError } from 'cosign-node-binding';
import { UserError, formatProblem, type Location, type Problem } from '@boxship/model';
import { exitCodeOf, exitCodes, type ExitCode } from './exit-codes.ts';
import { shownPath } from './shown-path.ts';
import { systemProblem } from './system-problem.ts';
import { version } from './version-number.ts';

/** An error as it is told: all of its problems, and the exit code. */
export interface ErrorReport {
  readonly problems: readonly Problem[];
  readonly exitCode: ExitCode;
  /** Of a defect: where it happened. */
  readonly stack?: string;
}

/** Sorts what was thrown into the user's errors, interruptions and defects of Boxship. */
export function reportOf(error: unknown, interrupted: boolean): ErrorReport {
  if (interrupted) {
    return { problems: [{ code: 'INTERRUPTED', message: 'interrupted' }], exitCode: exitCodes.interrupted };
  }
  if (error instanceof UserError) return { problems: error.problems, exitCode: exitCodeOf(error) };
  if (error instanceof CosignError) {
    const { code, message, hint } = error;
    return { problems: [{ code, message, ...(hint ? { hint } : {}) }], exitCode: exitCodes.userError };
  }
  const problem = systemProblem(error);
  if (problem) return { problems: [problem], exitCode: exitCodes.userError };
  const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined };
  return {
    problems: [{ code: 'DEFECT', message: `this is a defect of Boxship: ${message}` }],
    exitCode: exitCodes.defect,
    stack: `${stack ?? message}\nboxship ${version}, node ${process.version}, ${process.platform} ${process.arch}`,
  };
}

/** For people: `error: file:line:col: message`, and indented the other places and a hint, one after the other. */
export function formatReport(
  { problems, stack }: ErrorReport,
  bold: (text: string) => string = (text) => text,
): string {
  const lines = problems.map(({ code, message, hint, where, also }) => {
    const told: Problem = {
      code,
      message: indent(message),
      ...(hint === undefined ? {} : { hint: indent(hint) }),
      ...(where ? { where: shown(where) } : {}),
      ...(also ? { also: also.map((other) => ({ ...other, where: shown(other.where) })) } : {}),
    };
    return `${bold('error:')} ${formatProblem(told)}`;
  });
  if (problems.length > 1) lines.push(`${problems.length} errors`);
  if (stack !== undefined) lines.push(stack, 'Please report it with these lines and what you ran.');
  return `${lines.join('\n')}\n`;
}

/** For programs: one JSON document, as `--json` prints it on standard output. */
export function reportDocument({ problems, exitCode, stack }: ErrorReport): object {
  return { error: { exitCode, problems, ...(stack === undefined ? {} : { stack }) } };
}

function shown(where: Location): Location {
  return { ...where, file: shownPath(where.file) };
}

/** Further lines of a message (a table, the end of a program's output) stand below its first. */
function indent(text: string): string {
  return text.replaceAll('\n', '\n  ');
}
