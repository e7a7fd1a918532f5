import { copyFile, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { runProgram, startProgram } from '@boxship/host';
import { UserError } from '@boxship/model';
import { findAcceleration, findProcessors, type Acceleration } from './acceleration.ts';
import { findFirmware, readBootFiles, type BootFiles } from './boot-files.ts';
import { createSerialConsole, type SerialConsole } from './serial-console.ts';

export interface MachineOptions {
  /** A raw disk image; it is never written to. */
  readonly image: string;
  /** `uefi`: the firmware and the vendor's boot loader. `direct`: QEMU loads the kernel that the boot loader would. */
  readonly firmware: 'uefi' | 'direct';
  /** For `direct`: instead of the files and the command line of the image's loader entry. */
  readonly bootFiles?: BootFiles;
  /** For `direct`: added to the kernel command line. */
  readonly append?: string;
  /** Bytes of memory; 1 GiB by default. */
  readonly memory?: number;
  /** Bytes of the disk that the machine sees, when that is larger than the image. */
  readonly diskSize?: number;
  /**
   * A file that takes what the machine writes; made when it is not there, continued when it is (if it is of `image`), and
   * kept. Without it the writes are gone when the machine stops.
   */
  readonly overlay?: string;
  /** Raw images of further disks, which the machine can read and not write: `/dev/vdb` and on. */
  readonly furtherDisks?: readonly string[];
  readonly acceleration?: 'auto' | Acceleration;
  /** Virtual processors; default: what `findProcessors` says. */
  readonly processors?: number;
  readonly onLine?: (line: string) => void;
}

export interface Machine extends AsyncDisposable {
  readonly console: SerialConsole;
  /** Seconds since it was switched on. */
  seconds(): number;
  readonly acceleration: Acceleration;
  /** Resolves when it has switched itself off (or rebooted: it is started without a second boot). */
  ended(timeout: number): Promise<void>;
  /** Pulls the plug. */
  stop(): Promise<void>;
}

const MEMORY = 1024 ** 3;

/**
 * Switches on a machine with `image` as its only disk, a serial console and no network card. Stop it when done
 * (`await using` works); it also ends when this process does.
 * Errors: NO_IMAGE, NO_BOOT_FILES, NO_FIRMWARE, PROGRAM_MISSING, DISK_TOO_SMALL, WRONG_OVERLAY.
 */
export async function startMachine(options: MachineOptions): Promise<Machine> {
  const image = resolve(options.image);
  const size = await stat(image).then(
    (info) => info.size,
    () => {
      throw new UserError('NO_IMAGE', `there is no image ${options.image}`);
    },
  );
  if (options.diskSize !== undefined && options.diskSize < size) {
    throw new UserError('DISK_TOO_SMALL', `the image has ${size} bytes, the disk should have ${options.diskSize}`);
  }
  const folder = await mkdtemp(join(tmpdir(), 'boxship-boot-'));
  try {
    const overlay = resolve(options.overlay ?? join(folder, 'disk.qcow2'));
    await makeOverlay(image, overlay, options.diskSize);
    const wanted = options.acceleration ?? 'auto';
    const acceleration = wanted === 'auto' ? await findAcceleration() : wanted;
    const start = options.firmware === 'uefi' ? await uefiArguments(folder) : await directArguments(options, folder);
    const disks = [disk(overlay), ...(options.furtherDisks ?? []).map(furtherDisk)];
    return await switchOn(options, acceleration, [...start, ...disks.flatMap((one) => ['-drive', one])], folder);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function switchOn(
  options: MachineOptions,
  acceleration: Acceleration,
  more: readonly string[],
  folder: string,
): Promise<Machine> {
  const processors = options.processors ?? (await findProcessors(acceleration));
  const since = Date.now();
  let complaints = '';
  const feed = createSerialConsole((text) => qemu.write(text), options.onLine);
  const qemu = await startProgram(
    'qemu-system-x86_64',
    [...machineArguments(options, acceleration, processors), ...more],
    {
      onOutput: feed.receive,
      onErrors: (chunk) => (complaints = (complaints + chunk.toString()).slice(-2000)),
    },
  );
  const gone = qemu.ended.then(async ({ code, signal }) => {
    await rm(folder, { recursive: true, force: true });
    const how = code === 0 ? 'the machine switched off' : `QEMU ended with ${signal ?? `exit code ${code}`}`;
    feed.end(`${how}${code === 0 || complaints === '' ? '' : ` (${complaints.trim()})`}`);
  });
  const stop = async () => {
    await qemu.stop();
    await gone;
  };
  return {
    console: feed.console,
    acceleration,
    seconds: () => (Date.now() - since) / 1000,
    async ended(timeout) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        const message = `the machine did not switch off in ${timeout / 1000} s`;
        timer = setTimeout(() => reject(new UserError('BOOT_TIMEOUT', message)), timeout);
      });
      await Promise.race([gone, late]).finally(() => clearTimeout(timer));
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function machineArguments(options: MachineOptions, acceleration: Acceleration, processors: number): string[] {
  const mebibytes = Math.ceil((options.memory ?? MEMORY) / 1024 ** 2);
  return [
    ...['-no-user-config', '-nodefaults', '-machine', 'q35', '-smp', String(processors), '-m', String(mebibytes)],
    // A plain processor has little to emulate and less to probe: the kernel starts sooner than with `max`.
    ...(acceleration === 'kvm'
      ? ['-accel', 'kvm', '-cpu', 'host']
      : ['-accel', `tcg,thread=${processors > 1 ? 'multi' : 'single'},tb-size=512`, '-cpu', 'qemu64']),
    ...['-nic', 'none', '-display', 'none', '-no-reboot'],
    ...['-chardev', 'stdio,id=serial,signal=off', '-serial', 'chardev:serial'],
  ];
}

/** `unsafe`: what the guest flushes stays in the host's page cache; only a crash of the host could lose it. */
const disk = (overlay: string) =>
  `file=${overlay.replaceAll(',', ',,')},format=qcow2,if=virtio,cache=unsafe,discard=unmap`;
const furtherDisk = (image: string) => `file=${resolve(image).replaceAll(',', ',,')},format=raw,if=virtio,readonly=on`;

async function makeOverlay(image: string, overlay: string, size: number | undefined): Promise<void> {
  const exists = await stat(overlay).then(
    () => true,
    () => false,
  );
  if (exists) {
    await checkOverlay(image, overlay);
    if (size !== undefined) await runProgram('qemu-img', ['resize', '-q', '-f', 'qcow2', overlay, String(size)]);
    return;
  }
  const larger = size === undefined ? [] : [String(size)];
  await runProgram('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', image, overlay, ...larger]);
}

/** A disk that lies over another image would boot that one. */
async function checkOverlay(image: string, overlay: string): Promise<void> {
  const { stdout } = await runProgram('qemu-img', ['info', '--output=json', overlay]);
  const { 'full-backing-filename': below } = JSON.parse(stdout.toString()) as { 'full-backing-filename'?: string };
  if (below !== undefined && resolve(below) === image) return;
  const what = below === undefined ? 'is a disk of its own' : `goes on from ${below}`;
  throw new UserError('WRONG_OVERLAY', `${overlay} ${what}, not from ${image}`, 'Name a file that is not there yet, or delete it.'); // prettier-ignore
}

async function uefiArguments(folder: string): Promise<string[]> {
  const { code, variables } = await findFirmware();
  const own = join(folder, 'variables.fd');
  await copyFile(variables, own);
  return [
    ...['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${code}`],
    ...['-drive', `if=pflash,unit=1,format=raw,file=${own}`],
  ];
}

async function directArguments(options: MachineOptions, folder: string): Promise<string[]> {
  const files = options.bootFiles ?? (await readBootFiles(options.image, folder));
  const commandLine = [files.commandLine, options.append].filter(Boolean).join(' ');
  return [
    ...['-kernel', files.kernel, '-append', commandLine],
    ...(files.initrd === undefined ? [] : ['-initrd', files.initrd]),
  ];
}
