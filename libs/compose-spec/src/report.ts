import type { Location, OtherPlace, Problem } from '@boxship/model';

/** Where the user's mistakes go while a file is read, so that all of them are told at once. */
export interface Report {
  error(code: string, where: Location, message: string, hint?: string, also?: readonly OtherPlace[]): void;
  /** Something that is read differently from what one may think, and is no error. */
  note(code: string, where: Location, message: string, hint?: string): void;
}

export interface CollectedReport extends Report {
  readonly errors: readonly Problem[];
  readonly notes: readonly Problem[];
}

/** Collects problems in the order of their places; one place is told of the same thing once (anchors are read often). */
export function collectReport(): CollectedReport {
  const errors: Problem[] = [];
  const notes: Problem[] = [];
  const add =
    (list: Problem[]): Report['error'] =>
    (code, where, message, hint, also = []) => {
      const known = list.some(
        (other) =>
          other.code === code &&
          other.message === message &&
          other.where?.line === where.line &&
          other.where?.column === where.column,
      );
      if (known) return;
      list.push({
        code,
        message,
        ...(hint === undefined ? {} : { hint }),
        where,
        ...(also.length > 0 ? { also } : {}),
      });
    };
  return { errors, notes, error: add(errors), note: add(notes) };
}

/** The known word nearest to `word`, when it is near enough to be a slip of the fingers. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase().replaceAll('-', '_'), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Levenshtein distance in which a swap of neighbours counts as one. */
function editDistance(a: string, b: string): number {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => [i, ...new Array<number>(b.length).fill(0)]);
  for (let j = 1; j <= b.length; j++) rows[0]![j] = j;
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let distance = Math.min(rows[i - 1]![j]! + 1, rows[i]![j - 1]! + 1, rows[i - 1]![j - 1]! + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        distance = Math.min(distance, rows[i - 2]![j - 2]! + 1);
      }
      rows[i]![j] = distance;
    }
  }
  return rows[a.length]![b.length]!;
}
