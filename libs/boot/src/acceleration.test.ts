import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { programPath, runProgram } from '@boxship/host';
import { describe, expect, it } from 'vitest';
import { findProcessors, processorsOf } from './acceleration.ts';

const hasQemu = programPath()
  .split(':')
  .some((folder) => existsSync(join(folder, 'qemu-system-x86_64')));
const withQemu = it.skipIf(!hasQemu && !process.env['CI']);

describe('the virtual processors of a machine', () => {
  it('are two where emulated ones may change the code of each other: from QEMU 8.1 on', () => {
    const of = (version: string) =>
      processorsOf(`QEMU emulator version ${version}\nCopyright (c) 2003-2025 Fabrice Bellard`);
    expect(
      ['6.2.0', '7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)', '8.0.5', '8.1.0', '8.2.2', '9.0', '10.0.13'].map(of),
    ).toEqual([1, 1, 1, 2, 2, 2, 2]);
  });

  it('are one when the version cannot be read', () => {
    expect(processorsOf('a wrapper of my own')).toBe(1);
  });

  withQemu('are two with KVM, and follow the QEMU that is there without it', async () => {
    expect(await findProcessors('kvm')).toBe(2);
    const { stdout } = await runProgram('qemu-system-x86_64', ['--version']);
    expect(await findProcessors('tcg')).toBe(processorsOf(stdout.toString()));
  });
});
