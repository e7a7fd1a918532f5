import type { Shell } from '@boxship/boot';

export interface StartFigures {
  /** From the start of the engine's unit to the first line of the app. */
  readonly seconds: number;
  /** Bytes written to the store partition since the kernel started. */
  readonly written: number;
  readonly text: string;
}

/** How fast an app came up on a booted device, and what was written to the store until now. */
export async function startFigures(shell: Shell, engineUnit: string, app: string): Promise<StartFigures> {
  const started = Number(await shell.must(`systemctl show -p InactiveExitTimestampMonotonic --value ${engineUnit}`)) / 1e6; // prettier-ignore
  const lines = await shell.must(`journalctl -b -o short-monotonic -t ${app}-${app} | sed -n 's/^\\[ *\\([0-9.]*\\)\\].*boxship-demo.*/\\1/p'`); // prettier-ignore
  const seconds = Number(lines.split('\n')[0]) - started;
  const device = 'basename "$(readlink -f /dev/boxship/store)"';
  const written = 512 * Number(await shell.must(`awk '{ print $7 }' /sys/class/block/$(${device})/stat`));
  const text = `${seconds.toFixed(1)} s from the start of ${engineUnit} to the app's first line; ${written} bytes written to the store partition`;
  return { seconds, written, text };
}
