import { UserError, type Problem } from '@boxship/model';

/** What `work` gives; what it refuses becomes a problem of the part that is looked at, not the end of the look. */
export async function attempt<T>(problems: Problem[], work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    problems.push(...error.problems);
    return undefined;
  }
}
