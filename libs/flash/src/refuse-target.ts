import { formatByteSize, UserError, type Problem } from '@boxship/model';
import type { FlashTarget } from './flash-target.ts';

export interface TargetLimits {
  /** Bytes of the image. */
  readonly imageSize: number;
  /** Bytes of the largest storage that the machine has: something larger is another disk. */
  readonly largest: number;
  /** Where `largest` comes from, for people. */
  readonly largestFrom: string;
  /** Whether a plain file may be written. */
  readonly allowFile: boolean;
}

/**
 * Throws unless the whole of the target may be overwritten; all reasons at once. Errors: DEVICE_IN_USE, DEVICE_READ_ONLY,
 * DEVICE_TOO_LARGE, DEVICE_TOO_SMALL, NOT_A_DEVICE, NOT_A_WHOLE_DISK.
 */
export function refuseTarget(target: FlashTarget, { imageSize, largest, largestFrom, allowFile }: TargetLimits): void {
  const problems: Problem[] = [];
  const refuse = (code: string, message: string, hint: string) => problems.push({ code, message, hint });
  const { path, kind, size } = target;
  if (kind === 'file') {
    if (!allowFile) refuse('NOT_A_DEVICE', `${path} is a file`, 'To write into a file, as for an emulator: --to-file.');
    if (problems.length > 0) throw new UserError(problems);
    return; // it grows as needed, and holds nothing else
  }
  if (target.partOf) {
    refuse('NOT_A_WHOLE_DISK', `${path} is a partition of ${target.partOf}`, 'An image has a partition table of its own: name the whole disk.'); // prettier-ignore
  }
  if (target.uses.length > 0) {
    const system = target.uses.some(
      (use) => /mounted at \/(boot.*|usr|var|home|nix)?$/.test(use) || / is swap$/.test(use),
    );
    refuse(
      'DEVICE_IN_USE',
      `${path} is in use${system ? ', by this very system' : ''}: ${target.uses.join(', ')}`,
      system
        ? 'This is hardly the disk that you mean: lsblk shows all.'
        : 'If it is the disk that you mean, unmount it first.',
    );
  }
  if (target.readOnly) refuse('DEVICE_READ_ONLY', `${path} is write-protected`, 'A card may have a switch for that.');
  if (size < imageSize) {
    refuse(
      'DEVICE_TOO_SMALL',
      `${path} has ${formatByteSize(size)} (${size} bytes), the image is ${formatByteSize(imageSize)} (${imageSize} bytes)`,
      size === 0 ? 'No card is in it, as it seems.' : 'Take a larger one, or a smaller store or data partition in boxship.yaml.', // prettier-ignore
    );
  }
  if (size > largest) {
    refuse(
      'DEVICE_TOO_LARGE',
      `${path} has ${formatByteSize(size)}, more than ${formatByteSize(largest)}, ${largestFrom}: it may be another disk than you mean`,
      'If it is the one, allow its size: --max-size.',
    );
  }
  if (problems.length > 0) throw new UserError(problems);
}
