import type { Shell } from '@boxship/boot';
import { expect } from 'vitest';

/** The smallest layer that has a program in it is busybox, of 2 MB: what an import wrote would be more. */
const SMALLEST_LAYER = 1_900_000;
/** Databases, the journal of ext4, a writable layer for each container; the layers of the images have 14 MiB. */
const BOOKKEEPING = 8 << 20;

/**
 * Prints how fast the app came up on a booted device, and what was written to the store partition until now; fails when image
 * bytes are among it. `unit`: the engine's, or of an engine without a daemon the app's.
 */
export async function expectNothingImported(shell: Shell, title: string, unit: string, app: string): Promise<void> {
  const started = Number(await shell.must(`systemctl show -p InactiveExitTimestampMonotonic --value ${unit}`)) / 1e6;
  const lines = await shell.must(`journalctl -b -o short-monotonic -t ${app}-${app} | sed -n 's/^\\[ *\\([0-9.]*\\)\\].*boxship-demo.*/\\1/p'`); // prettier-ignore
  const seconds = Number(lines.split('\n')[0]) - started;
  const device = 'basename "$(readlink -f /dev/boxship/store)"';
  const written = 512 * Number(await shell.must(`awk '{ print $7 }' /sys/class/block/$(${device})/stat`));
  // a file's time of change is the kernel's: what an engine writes has that of today, whatever it says in the layer
  const booted = "@$(sed -n 's/^btime //p' /proc/stat)";
  const fresh = await shell.must(`find /run/boxship/store -xdev -type f -newerct "${booted}" -printf '%s %p\\n' | sort -rn`); // prettier-ignore
  const files = fresh.split('\n').map((line) => ({ size: Number(line.split(' ')[0]), line }));
  const sum = files.reduce((bytes, { size }) => bytes + size, 0);
  console.log(`${title}: ${seconds.toFixed(1)} s from the start of ${unit} to the app's first line; ${written} bytes written to the store partition; ${files.length} files made or changed, ${sum} bytes in all`); // prettier-ignore
  expect(written).toBeLessThan(BOOKKEEPING);
  expect(sum, fresh).toBeLessThan(SMALLEST_LAYER);
}
