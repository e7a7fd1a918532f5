import type { Assessment, Check, MissingKernelOption } from '@boxship/assess';
import { formatByteSize } from '@boxship/model';
import { formatTable } from './table.ts';

const TARGETS = {
  'on-target': 'containers on the device',
  'development-only': 'containers in development only',
  'not-here': 'no containers here',
} as const;

const STANDINGS = { good: 'ok', caution: 'look', bad: 'NO', unknown: '?' } as const;

/** An assessment for people. */
export function formatAssessment(assessment: Assessment, { verbose }: { readonly verbose: boolean }): string {
  const parts = [
    header(assessment),
    checks(assessment, verbose),
    kernel(assessment, verbose),
    memory(assessment),
    flash(assessment),
    engines(assessment),
    unknown(assessment),
    assumptions(assessment, verbose),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function header({ variant, machine, engine, services, verdict }: Assessment): string {
  const where = machine.description === undefined ? machine.platform : `${machine.description}, ${machine.platform}`;
  const count = `${services} ${services === 1 ? 'container' : 'containers'}`;
  const shape = verdict.target === 'not-here' ? '' : `, ${verdict.headless ? 'headless, ' : ''}${verdict.shape}, ${verdict.engine}`;
  const asIs = { base: ' as it is built', engine: ` with ${engine}; ${verdict.engine} fits` };
  const mend = verdict.mend === undefined ? '' : asIs[verdict.mend];
  const reasons = verdict.reasons.map((reason) => `  ${reason}`).join('\n');
  return `${variant} on ${machine.name} (${where}), engine ${engine}, ${count}\n\n  ${TARGETS[verdict.target]}${mend}${shape}\n\n${reasons}\n`;
} // prettier-ignore

/** What is not good comes with its advice; what is good in one line, or with `-v` too. */
function checks({ checks: all }: Assessment, verbose: boolean): string {
  const lines = all.map(({ standing, subject, finding, advice }: Check) => {
    const hint = advice !== undefined && (verbose || standing !== 'good') ? `\n                      ${advice}` : '';
    return `  ${STANDINGS[standing].padEnd(4)}  ${subject.padEnd(9)}  ${finding}${hint}`;
  });
  return `${lines.join('\n')}\n`;
}

/** Options that a table shows without `-v`. */
const SHOWN = 12;

function kernel({ kernel: known }: Assessment, verbose: boolean): string {
  if (!known || known.missing.length === 0) return '';
  const title = `  kernel${known.version === undefined ? '' : ` ${known.version}`}, by ${known.from}, lacks`;
  const shown = verbose ? known.missing : known.missing.slice(0, SHOWN);
  const rows = shown.map(({ symbol, want, need, why, source }: MissingKernelOption) => [
    `CONFIG_${symbol}=${want}`,
    need,
    why,
    ...(verbose ? [source] : []),
  ]);
  const head = ['option', 'need', 'why', ...(verbose ? ['source'] : [])];
  const rest = known.missing.length - shown.length;
  const more = rest > 0 ? `\n    ${rest} more (list them: -v)` : '';
  return `${title}\n${indent(formatTable(head, rows), 4)}${more}\n`;
}

function memory({ memory: budget, engine }: Assessment): string {
  if (!budget) return '';
  const rows = [
    ['kernel', formatByteSize(budget.kernel)],
    ['system', formatByteSize(budget.system)],
    [engine, formatByteSize(budget.engine)],
    ['containers', formatByteSize(budget.containers)],
    ['apps', formatByteSize(budget.apps), budget.assumed > 0 ? `${formatByteSize(budget.assumed)} of it assumed: no memory limit` : ''],
    ['free', formatByteSize(budget.free), `${formatByteSize(budget.wanted)} wanted`],
  ];
  return `${indent(formatTable(['RAM', formatByteSize(budget.total), ''], rows, [1]))}\n`;
} // prettier-ignore

function flash({ flash: budget }: Assessment): string {
  const { total, base, bundle, store, data, free, writesPerDay } = budget;
  const rows = [
    ...(base === undefined ? [] : [['base image', formatByteSize(base)]]),
    ...(store === undefined ? [] : [['store', formatByteSize(store), bundle ? `${bundle.exact ? '' : 'about '}${formatByteSize(bundle.bytes)} of images` : 'as the product file says']]),
    ['data', formatByteSize(data), 'as shipped; it grows'],
    ...(free === undefined ? [] : [['free', formatByteSize(free)]]),
    ...(writesPerDay === undefined ? [] : [['writes', formatByteSize(writesPerDay), 'a day at most']]),
  ];
  return `${indent(formatTable(['flash', total === undefined ? '?' : formatByteSize(total), ''], rows, [1]))}\n`;
} // prettier-ignore

function engines({ engines: all, engine, verdict }: Assessment): string {
  const size = (bytes: number | undefined) => (bytes === undefined ? '?' : formatByteSize(bytes));
  const rows = all.map(({ name, memory: cost, free, missingRequired, fits, strength }) => [
    name === engine ? `${name} *` : name,
    size(cost),
    size(free),
    missingRequired === undefined ? '?' : String(missingRequired),
    fits ? 'yes' : 'no',
    strength,
  ]);
  const head = ['engine', 'RAM', 'left', 'kernel lacks', 'fits', 'good for'];
  const mark =
    verdict.engine === engine ? '* of the product file' : `* of the product file; ${verdict.engine} is advised`;
  return `${indent(formatTable(head, rows, [1, 2, 3]))}\n  ${mark}\n`;
}

function unknown({ unknown: lines }: Assessment): string {
  return lines.map((line) => `  not known: ${line}\n`).join('');
}

function assumptions({ assumptions: all }: Assessment, verbose: boolean): string {
  if (!verbose) return all.length === 0 ? '' : `  ${all.length} figures and assumptions (list them with their sources: -v)\n`;
  const lines = all.map(({ what, value, source }) => `    ${what}${value === '' ? '' : `: ${value}`}\n      ${source}`);
  return `  figures and assumptions\n${lines.join('\n')}\n`;
} // prettier-ignore

function indent(text: string, by = 2): string {
  return text.replace(/^(?=.)/gm, ' '.repeat(by));
}
