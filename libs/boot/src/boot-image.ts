import { UserError } from '@boxship/model';
import { startMachine, type MachineOptions } from './machine.ts';
import type { LinePattern } from './serial-console.ts';

export interface BootOptions extends MachineOptions {
  /** The boot is over when a line of the serial console matches. */
  readonly until: LinePattern;
  /** Milliseconds. */
  readonly timeout: number;
}

export interface BootResult {
  /** The line that matched; undefined when none did in time, or the machine ended before. */
  readonly hit: string | undefined;
  /** Why nothing matched. */
  readonly problem: string | undefined;
  readonly seconds: number;
  /** Everything that the serial console said. */
  readonly log: string;
  readonly acceleration: 'kvm' | 'tcg';
}

/** Boots an image until a line appears on its serial console, then pulls the plug. The image is not changed. */
export async function bootImage(options: BootOptions): Promise<BootResult> {
  await using machine = await startMachine(options);
  const { hit, problem } = await machine.console.waitFor(options.until, options.timeout).then(
    (line) => ({ hit: line, problem: undefined }),
    (error: unknown) => {
      if (!(error instanceof UserError)) throw error;
      return { hit: undefined, problem: error.message };
    },
  );
  return { hit, problem, seconds: machine.seconds(), log: machine.console.text(), acceleration: machine.acceleration };
}
