import type { RootfsReader } from '@boxship/filesystem';
import { UserError, type Variant } from '@boxship/model';

/** e_machine of ELF (gABI, "Machine") for each architecture in OCI's words, and bits. */
const MACHINES: Readonly<Record<string, readonly [machine: number, bits: 32 | 64]>> = {
  '386': [3, 32], amd64: [62, 64], arm: [40, 32], arm64: [183, 64], ppc64le: [21, 64], riscv64: [243, 64], s390x: [22, 64],
}; // prettier-ignore

/**
 * Refuses a rootfs whose init program is for another processor than the machine has. What is no ELF program tells nothing.
 * Errors: OTHER_ARCHITECTURE.
 */
export async function refuseOtherArchitecture(
  files: RootfsReader,
  { name, platform }: Pick<Variant['machine'], 'name' | 'platform'>,
): Promise<void> {
  const wanted = platform.split('/')[1]!;
  const init = await files.realPath('sbin/init');
  if (init === undefined || !Object.hasOwn(MACHINES, wanted)) return;
  const header = Buffer.from(await files.readRange(init, 0, 20));
  if (header.length < 20 || header.toString('latin1', 0, 4) !== '\x7fELF') return;
  const machine = header[5] === 2 ? header.readUInt16BE(18) : header.readUInt16LE(18); // EI_DATA: 2 is big-endian
  const bits = header[4] === 2 ? 64 : 32;
  const [wantedMachine, wantedBits] = MACHINES[wanted]!;
  if (machine === wantedMachine && bits === wantedBits) return;
  const found = Object.entries(MACHINES).find(([, [one, size]]) => one === machine && size === bits)?.[0];
  throw new UserError(
    'OTHER_ARCHITECTURE',
    `the base image is for ${found ?? `the ELF machine ${machine}`}, ${name} is ${platform}`,
    'Give the base image that the vendor made for this machine.',
  );
}
