import { UserError } from '@boxship/model';
import { logIn, startMachine, type Machine, type MachineOptions, type Shell } from '@boxship/boot';

/** An emulated machine on a busy host is slow; one that hangs is told from it by this. Milliseconds. */
const PATIENCE = 600_000;

/** Waits until each pattern has had its line, in any order; the lines, in the order of the patterns. */
export async function linesOf(machine: Machine, ...patterns: readonly RegExp[]): Promise<string[]> {
  const found = patterns.map(() => undefined as string | undefined);
  const look = (line: string) => {
    const open = patterns.findIndex((pattern, index) => found[index] === undefined && pattern.test(line));
    if (open >= 0) found[open] = line;
    return !found.includes(undefined);
  };
  await machine.console.waitFor(look, PATIENCE).catch((error: unknown) => {
    if (!(error instanceof UserError)) throw error;
    const missing = patterns.filter((_, index) => found[index] === undefined).join(', ');
    throw new Error(`no line matched ${missing}: ${error.message}\nThe console:\n${machine.console.text()}`);
  });
  return found as string[];
}

/** A shell of root; what the machine prints from now on comes among its output. */
export async function shellOn(machine: Machine): Promise<Shell> {
  machine.console.type('\n'); // a prompt that nothing else has been printed behind
  return await logIn(machine.console, PATIENCE);
}

/** What a panic says that QEMU before 8.1 makes of two emulated processors (`findProcessors` of @boxship/boot). */
const PANIC = /Oops: int3/;
/** Starts of a machine that may panic so: one in nine did, at worst. */
const STARTS = 4;

/**
 * A machine of two processors and a shell on it, for services whose limit (`cpus`) is more than one: docker refuses to make their
 * containers on a machine that has fewer. Started again where QEMU itself makes its kernel panic, and only then.
 */
export async function startOnTwoProcessors(options: MachineOptions): Promise<{ machine: Machine; shell: Shell }> {
  for (let start = 1; ; start++) {
    const machine = await startMachine({ ...options, processors: 2 });
    try {
      return { machine, shell: await shellOn(machine) };
    } catch (error) {
      await machine.stop();
      if (!PANIC.test(machine.console.text()) || start === STARTS) throw error;
      console.log(`QEMU made the kernel panic (${PANIC.source}): started again`);
    }
  }
}
