import { Worker } from 'node:worker_threads';
import inflating from './inflate-thread.ts?thread';
import scattering from './scatter-thread.ts?thread';

/** A thread with one of two programs, for one job. */
export interface TakenThread {
  readonly worker: Worker;
  /** The job is done, and its listeners are gone: the thread may take another one. */
  giveBack(): void;
  /** Ends the thread, whatever it is at; resolves when it does nothing any more. */
  end(): Promise<unknown>;
}

const programs = { inflating, scattering };

/** A thread that waits for so long is not needed any more. Milliseconds. */
const IDLE = 200;

interface IdleThread {
  readonly worker: Worker;
  readonly timer: NodeJS.Timeout;
  readonly leave: () => void;
}

/** Starting one takes 40 ms of a core, and compiling its program once more as long again: layers follow one another. */
const idleThreads: Readonly<Record<keyof typeof programs, IdleThread[]>> = { inflating: [], scattering: [] };

export function takeThread(program: keyof typeof programs): TakenThread {
  const idle = idleThreads[program];
  const waiting = idle.pop();
  if (waiting) {
    clearTimeout(waiting.timer);
    waiting.worker.off('exit', waiting.leave);
  }
  const resourceLimits = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 };
  const worker = waiting?.worker ?? new Worker(programs[program], { eval: true, execArgv: [], resourceLimits });
  worker.ref();
  return {
    worker,
    giveBack() {
      worker.unref();
      const one = { worker, leave, timer: setTimeout(stop, IDLE).unref() };
      idle.push(one);
      worker.once('exit', leave);
      function leave() {
        clearTimeout(one.timer);
        if (idle.includes(one)) idle.splice(idle.indexOf(one), 1);
      }
      function stop() {
        leave();
        void worker.terminate();
      }
    },
    end: () => worker.terminate(),
  };
}

/** Ends the threads that wait for another job: what comes next may want their memory. */
export async function endIdleThreads(): Promise<void> {
  const all = Object.values(idleThreads).flatMap((idle) => idle.splice(0));
  await Promise.all(
    all.map(({ worker, timer, leave }) => {
      clearTimeout(timer);
      worker.off('exit', leave);
      return worker.terminate();
    }),
  );
}
