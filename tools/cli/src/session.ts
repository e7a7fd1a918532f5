import { styleText } from 'node:util';
import { openCache, type Cache, type Progress } from '@boxship/host';
import { listenForInterruption } from './interruption.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { formatReport, reportDocument, reportOf, type ErrorReport } from './error-report.ts';
import { terminalProgress } from './terminal-progress.ts';

/** Options that every command has. */
export interface GlobalOptions {
  readonly file: string;
  readonly cache?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
  /** False with `--no-color`. */
  readonly color: boolean;
}

/** How one run of a command talks to whoever started it. */
export interface Session {
  /** The product file, as it was given. */
  readonly file: string;
  readonly cache: Cache;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** The result: `json` alone as one document with `--json`, else `text`, which `--quiet` leaves out. */
  result(json: object, text: string): void;
  /** Something for people on the way to the result; `--json` and `--quiet` leave it out. */
  say(text: string): void;
  /** As Ctrl-C. */
  interrupt(): void;
}

/** A refusal that has its own exit code, as that of `verify`. */
export type ClassifyError = (report: ErrorReport) => ExitCode;

/**
 * Runs a command: prints its result or its error in the form that was asked for, and gives the exit code: that of `work`, else 0.
 * Standard output has results only, standard error progress and errors.
 */
export async function runSession(
  options: GlobalOptions,
  work: (session: Session) => Promise<ExitCode | void>,
  classify: ClassifyError = ({ exitCode }) => exitCode,
): Promise<ExitCode> {
  using interruption = listenForInterruption(exitCodes.interrupted);
  const { json = false, quiet = false } = options;
  const color = options.color && !process.env['NO_COLOR'] && process.stderr.isTTY === true;
  const session: Session = {
    file: options.file,
    cache: openCache(options.cache),
    progress: terminalProgress(process.stderr, { quiet, color }),
    signal: interruption.signal,
    result: (document, text) => {
      if (json) writeDocument(document);
      else if (!quiet) process.stdout.write(text);
    },
    say: (text) => {
      if (!json && !quiet) process.stdout.write(text);
    },
    interrupt: interruption.interrupt,
  };
  try {
    return (await Promise.race([work(session), interruption.overdue])) ?? exitCodes.ok;
  } catch (error) {
    const report = reportOf(error, interruption.signal.aborted);
    const told = { ...report, exitCode: classify(report) };
    writeReport(told, { json, color });
    return told.exitCode;
  }
}

/** An error in the form that was asked for. */
export function writeReport(report: ErrorReport, { json, color }: { json: boolean; color: boolean }): void {
  if (json) writeDocument(reportDocument(report));
  else process.stderr.write(formatReport(report, color ? (text) => styleText(['red', 'bold'], text) : undefined));
}

function writeDocument(document: object): void {
  process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
}
