import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, readFile, readdir, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { programPath, runProgram, withScratch } from '@boxship/host';
import { describe, expect, it, vi } from 'vitest';
import { bootImage } from './boot-image.ts';
import { startMachine, type MachineOptions } from './machine.ts';

/**
 * A kernel of 80 bytes for QEMU's multiboot loader (Multiboot Specification 0.6.96, 3.1): prints what it is told to, then
 * sends every byte that the serial port receives back; 'q' switches the machine off by a triple fault.
 */
function tinyKernel(greeting: string): Buffer {
  const LOAD = 0x100000;
  const HEADER = 32;
  // prettier-ignore
  const code = [
    0xbe, ...u32(0), //           mov esi, greeting
    0x66, 0xba, 0xf8, 0x03, //    mov dx, 0x3f8
    0xac, //                next: lodsb
    0x84, 0xc0, //                test al, al
    0x74, 0x03, //                jz echo
    0xee, //                      out dx, al
    0xeb, 0xf8, //                jmp next
    0x66, 0xba, 0xfd, 0x03, // echo: mov dx, 0x3fd (line status)
    0xec, //                      in al, dx
    0xa8, 0x01, //                test al, 1 (data ready)
    0x74, 0xfb, //                jz back to in
    0x66, 0xba, 0xf8, 0x03, //    mov dx, 0x3f8
    0xec, //                      in al, dx
    0x3c, 0x71, //                cmp al, 'q'
    0x74, 0x03, //                je off
    0xee, //                      out dx, al
    0xeb, 0xeb, //                jmp echo
    0x0f, 0x01, 0x1d, ...u32(0), // off: lidt [empty]
    0xcc, //                      int3: no handler, no double fault handler
  ];
  const text = LOAD + HEADER + code.length;
  code.splice(1, 4, ...u32(text));
  const empty = text + greeting.length + 1;
  code.splice(code.length - 5, 4, ...u32(empty));
  const body = Buffer.concat([Buffer.from(code), Buffer.from(`${greeting}\0`), Buffer.alloc(8)]);
  const magic = 0x1badb002;
  const flags = 0x10000; // the addresses below are valid
  const end = LOAD + HEADER + body.length;
  const header = [magic, flags, -(magic + flags), LOAD, LOAD, end, end, LOAD + HEADER].flatMap((word) => u32(word));
  return Buffer.concat([Buffer.from(header), body]);
}

function u32(value: number): number[] {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return [...bytes];
}

async function tiny(folder: string, greeting = 'tiny is up\n> '): Promise<MachineOptions> {
  const image = join(folder, 'disk, with a comma.img');
  await writeFile(image, 'a disk');
  await truncate(image, 1 << 20);
  const kernel = join(folder, 'kernel');
  await writeFile(kernel, tinyKernel(greeting));
  return { image, firmware: 'direct', bootFiles: { kernel, commandLine: '' }, memory: 64 << 20, acceleration: 'tcg' };
}

const lacking = ['qemu-system-x86_64', 'qemu-img'].filter(
  (program) =>
    !programPath()
      .split(':')
      .some((folder) => existsSync(join(folder, program))),
);
if (lacking.length > 0 && process.env['CI'] === 'true') throw new Error(`missing: ${lacking.join(', ')}`);

describe.skipIf(lacking.length > 0)(`a machine${lacking.length > 0 ? ` (missing: ${lacking.join(', ')})` : ''}`, () => {
  it('boots to a line, and the image stays as it is', async () => {
    await withScratch(async (folder) => {
      const options = await tiny(folder);
      const digest = async () => createHash('sha256').update(await readFile(options.image)).digest('hex'); // prettier-ignore
      const before = await digest();
      const result = await bootImage({ ...options, until: /tiny is (up)/, timeout: 60_000 });
      expect(result).toMatchObject({ hit: 'tiny is up', problem: undefined, acceleration: 'tcg' });
      expect(result.log).toContain('tiny is up');
      expect(await digest()).toBe(before);
    });
  });

  it('hears what is typed, and says when it has switched off', async () => {
    await withScratch(async (folder) => {
      const machine = await startMachine(await tiny(folder));
      try {
        await machine.console.waitFor(/> $/, 60_000);
        machine.console.type('\nhello\n'); // the prompt's own line is read already
        expect(await machine.console.waitFor(/hello/, 10_000)).toContain('hello');
        machine.console.type('q');
        await machine.ended(10_000);
        await expect(machine.console.waitFor(/more/, 1000)).rejects.toMatchObject({ code: 'BOOT_ENDED' });
      } finally {
        await machine.stop();
      }
    });
  });

  it('reports a boot that never comes to the line, with what was said', async () => {
    await withScratch(async (folder) => {
      const result = await bootImage({ ...(await tiny(folder)), until: /never/, timeout: 2000 });
      expect(result.hit).toBeUndefined();
      expect(result.problem).toContain('tiny is up');
    });
  });

  it('keeps an overlay, larger than the image, for the next boot', async () => {
    await withScratch(async (folder) => {
      const overlay = join(folder, 'overlay.qcow2');
      const options = { ...(await tiny(folder)), overlay, until: /up/, timeout: 60_000 };
      await bootImage({ ...options, diskSize: 8 << 20 });
      const { stdout } = await runProgram('qemu-img', ['info', '--output=json', overlay]);
      expect((JSON.parse(stdout.toString()) as { 'virtual-size': number })['virtual-size']).toBe(8 << 20);
      expect((await bootImage(options)).hit).toBe('tiny is up');
      expect((await stat(options.image)).size).toBe(1 << 20);

      const other = join(folder, 'other.img');
      await copyFile(options.image, other);
      await expect(bootImage({ ...options, image: other })).rejects.toThrow(
        `${overlay} goes on from ${options.image}, not from ${other}`,
      );
    });
  });

  it('leaves nothing in the temporary folder', async () => {
    await withScratch(async (folder) => {
      const options = await tiny(folder);
      await withScratch(async (temporary) => {
        vi.stubEnv('TMPDIR', temporary);
        try {
          await bootImage({ ...options, until: /up/, timeout: 60_000 });
          expect(await readdir(temporary)).toEqual([]);
        } finally {
          vi.unstubAllEnvs();
        }
      });
    });
  });

  it('refuses an image that is not there, and a disk smaller than the image', async () => {
    await withScratch(async (folder) => {
      const options = await tiny(folder);
      await expect(startMachine({ ...options, image: join(folder, 'no') })).rejects.toMatchObject({ code: 'NO_IMAGE' });
      await expect(startMachine({ ...options, diskSize: 512 })).rejects.toMatchObject({ code: 'DISK_TOO_SMALL' });
    });
  });
});
