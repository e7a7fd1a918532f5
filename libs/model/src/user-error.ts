/** A place in a text file that a person wrote. Lines and columns count from 1. */
export interface Location {
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
}

/** Another place that a mistake is made of: the first of two that clash, the machine that a service does not fit. */
export interface OtherPlace {
  readonly what: string;
  readonly where: Location;
}

/** One mistake of the user: what happened, where, and what to do next. */
export interface Problem {
  /** Stable, upper case with underscores; scripts may rely on it. */
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly where?: Location;
  /** Never empty when it is there; in the order in which they are told. */
  readonly also?: readonly OtherPlace[];
}

/** An error that a person can mend. Anything else that is thrown is a defect of Boxship. */
export class UserError extends Error {
  override readonly name = 'UserError';
  /** All of the user's mistakes that were found at once; never empty. */
  readonly problems: readonly Problem[];

  constructor(code: string, message: string, hint?: string, where?: Location);
  constructor(problems: readonly Problem[]);
  constructor(codeOrProblems: string | readonly Problem[], message = '', hint?: string, where?: Location) {
    const problems: readonly Problem[] =
      typeof codeOrProblems === 'string'
        ? [{ code: codeOrProblems, message, ...(hint === undefined ? {} : { hint }), ...(where ? { where } : {}) }]
        : codeOrProblems;
    super(problems.map(formatProblem).join('\n'));
    this.problems = problems;
  }

  /** Code of the first problem. */
  get code(): string {
    return this.problems[0]?.code ?? 'UNKNOWN';
  }
}

/** `file:line:col: message` and, on lines below, the other places and the hint. */
export function formatProblem(problem: Problem): string {
  const where = problem.where ? `${formatLocation(problem.where)}: ` : '';
  return [
    `${where}${problem.message}`,
    ...(problem.also ?? []).map((other) => `  ${formatLocation(other.where)}: ${other.what}`),
    ...(problem.hint ? [`  hint: ${problem.hint}`] : []),
  ].join('\n');
}

/** `file`, `file:line` or `file:line:col`, as editors and CI logs link it. */
export function formatLocation({ file, line, column }: Location): string {
  return [file, line, column].filter((part) => part !== undefined).join(':');
}
