import { availableParallelism } from 'node:os';
import { MiB } from '@boxship/model';

export interface RoomLimits {
  /** Programs at the same time; default: as many as there are cores. */
  readonly programs?: number;
  /** Bytes of memory that they take together. */
  readonly memory?: number;
}

/**
 * Where programs that make the parts of one run side by side wait for their turn, so that they take no more cores and memory together
 * than there are for them.
 */
export interface ProgramRoom {
  /**
   * Begins `work`, which takes that many bytes of memory, when there is room: at once, or when others have ended, in the order of
   * asking; one that needs less may pass one that needs more. What needs more than the room has runs alone. `work` must not ask
   * for room itself. Errors: those of `work`; the reason of the signal when that is aborted before the turn comes.
   */
  take<T>(memory: number, work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}

/** Of the 256 MiB that the process tree may take we have had up to 190. A gzip has room beside zstd (60) or mksquashfs (33). */
const MEMORY = 64 * MiB;

export function programRoom({ programs = availableParallelism(), memory = MEMORY }: RoomLimits = {}): ProgramRoom {
  const running = { programs: 0, memory: 0 };
  const waiting: { readonly memory: number; readonly begin: () => void }[] = [];
  const fits = (more: number) =>
    running.programs === 0 || (running.programs < programs && running.memory + more <= memory);
  const enter = (more: number) => {
    running.programs += 1;
    running.memory += more;
  };
  const leave = (less: number) => {
    running.programs -= 1;
    running.memory -= less;
    for (const one of [...waiting]) {
      if (!fits(one.memory)) continue;
      waiting.splice(waiting.indexOf(one), 1);
      enter(one.memory);
      one.begin();
    }
  };
  const turn = async (needed: number, signal: AbortSignal | undefined) => {
    signal?.throwIfAborted();
    if (fits(needed)) return enter(needed);
    await new Promise<void>((resolve, reject) => {
      const abort = () => {
        waiting.splice(waiting.indexOf(one), 1);
        reject(signal!.reason as Error);
      };
      const begin = () => {
        signal?.removeEventListener('abort', abort);
        resolve();
      };
      const one = { memory: needed, begin };
      waiting.push(one);
      signal?.addEventListener('abort', abort, { once: true });
    });
  };
  return {
    async take(needed, work, signal) {
      await turn(needed, signal);
      try {
        return await work();
      } finally {
        leave(needed);
      }
    },
  };
}
