import { CommanderError } from 'commander';
import { exitCodes } from './exit-codes.ts';
import { createProgram } from './program.ts';
import { reportOf } from './error-report.ts';
import { writeReport } from './session.ts';

/** Who reads us may go away (`boxship plan | head`); the work goes on, its output does not matter any more. */
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

const args = process.argv.slice(2);
const json = args.includes('--json'); // the command line may be too wrong to be parsed
void main();

async function main(): Promise<void> {
  try {
    await createProgram({ quietUsage: json }).parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = endOfUsage(error);
    else {
      const report = reportOf(error, false);
      writeReport(report, { json, color: false });
      process.exitCode = report.exitCode;
    }
  }
  // What was printed must be out before the end; sockets that are kept open must not keep us.
  await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write('', done))));
  process.exit();
}

/** Help and versions are no errors; all else that the command line's parser refuses is one of usage. */
function endOfUsage({ exitCode, message, code }: CommanderError): number {
  if (exitCode === 0) return exitCodes.ok;
  const text = code === 'commander.help' ? 'a command is missing' : message.replace(/^error: /, '');
  const [first = '', ...hints] = text.split('\n');
  const hint = hints.join(' ').replace(/^\((.*)\)$/, '$1') || 'See: boxship --help';
  if (json) {
    const problems = [{ code: 'USAGE', message: first, hint }];
    writeReport({ problems, exitCode: exitCodes.usage }, { json, color: false });
  }
  return exitCodes.usage;
}
