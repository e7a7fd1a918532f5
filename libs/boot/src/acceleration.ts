import { constants } from 'node:fs';
import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram, withScratch } from '@boxship/host';

export type Acceleration = 'kvm' | 'tcg';

let found: Promise<Acceleration> | undefined;

/** The first QEMU whose emulated processors may change each other's code, as [major, minor]. */
const SOUND = [8, 1] as const;

/** `kvm` where a machine really runs with it, else `tcg` (emulation). Asked once per process; below a second. */
export function findAcceleration(): Promise<Acceleration> {
  found ??= kvmRuns().then((runs) => (runs ? 'kvm' : 'tcg'));
  return found;
}

/**
 * A /dev/kvm that opens proves little: inside another machine it may refuse its processor or crawl. So a boot sector is
 * run: `mov al, 0x10; out 0xf4, al`, which isa-debug-exit turns into exit code 0x10 << 1 | 1.
 */
async function kvmRuns(): Promise<boolean> {
  const usable = await access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!usable) return false;
  return await withScratch(async (folder) => {
    const sector = Buffer.alloc(512);
    sector.set([0xb0, 0x10, 0xe6, 0xf4, 0xf4]);
    sector.set([0x55, 0xaa], 510);
    await writeFile(join(folder, 'sector'), sector);
    const machine = ['-machine', 'pc', '-accel', 'kvm', '-cpu', 'host', '-m', '16', '-nodefaults', '-display', 'none'];
    const exit = ['-no-reboot', '-device', 'isa-debug-exit,iobase=0xf4,iosize=1'];
    const disk = ['-drive', `file=${join(folder, 'sector')},format=raw,if=ide`];
    return await runProgram('qemu-system-x86_64', [...machine, ...exit, ...disk], { accept: [33], timeout: 2000 }).then(
      () => true,
      () => false,
    );
  });
}

/**
 * Virtual processors that a machine gets: two, but one where QEMU before 8.1 emulates them. Such a QEMU translates a page before
 * it watches it for writes (`tb_link_page` of accel/tcg/translate-all.c; 8.1 locks it first: `tb_lock_page0`), so that one
 * processor can run what another has just replaced. Linux patches itself while it starts, by way of an `int3` (`text_poke_bp`),
 * and panics on a stale one: one start in nine, measured with 7.2 on a busy host, none in 25 with 10.0.
 */
export async function findProcessors(acceleration: Acceleration): Promise<number> {
  if (acceleration === 'kvm') return 2;
  const { stdout } = await runProgram('qemu-system-x86_64', ['--version']);
  return processorsOf(stdout.toString());
}

/** `text` is what `qemu-system-x86_64 --version` prints; one processor when its version cannot be read. */
export function processorsOf(text: string): number {
  const [, major, minor] = /\bversion (\d+)\.(\d+)/.exec(text) ?? [];
  if (major === undefined) return 1;
  return Number(major) > SOUND[0] || (Number(major) === SOUND[0] && Number(minor) >= SOUND[1]) ? 2 : 1;
}
