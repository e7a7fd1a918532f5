export interface SideBySideOptions {
  readonly signal?: AbortSignal | undefined;
  /** Jobs that run at the same time, at most; default: all of them. */
  readonly atOnce?: number;
}

/**
 * What the jobs return, in their order, whichever ends first; they are begun in that order. When one fails, no other is begun, the
 * signal that all were given is aborted, and the call fails as soon as all that were begun have ended: nobody uses any more what the
 * caller then closes or removes. Errors: that of the job that failed first; those that others fail with when they are stopped are not told.
 */
export async function sideBySide<T>(
  jobs: readonly ((signal: AbortSignal) => Promise<T>)[],
  { signal, atOnce = jobs.length }: SideBySideOptions = {},
): Promise<readonly T[]> {
  const stop = new AbortController();
  const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const results: T[] = [];
  const queue = [...jobs.entries()];
  let failure: { readonly error: unknown } | undefined;
  const work = async () => {
    for (let next = queue.shift(); next && !failure; next = queue.shift()) {
      const [index, job] = next;
      try {
        either.throwIfAborted();
        results[index] = await job(either);
      } catch (error) {
        failure ??= { error };
        stop.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, jobs.length) }, work));
  if (failure) throw (failure as { readonly error: unknown }).error;
  return results;
}
