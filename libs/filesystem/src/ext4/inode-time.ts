/**
 * Times of inodes (Documentation/filesystems/ext4/inodes.rst "Inode Timestamps"): 32 signed bits of seconds, and 32
 * more: two that widen the seconds to 34 bits, thirty of nanoseconds.
 */
const MIN_SECONDS = -(2 ** 31); // 1901-12-13
const MAX_SECONDS = 2 ** 34 - 2 ** 31 - 1; // 2446-05-10

/** The two words of a time. What ext4 cannot hold becomes the nearest time that it can, as the kernel does. */
export function encodeTime(seconds: number, nanoseconds: number): { seconds: number; extra: number } {
  const clamped = Math.min(MAX_SECONDS, Math.max(MIN_SECONDS, seconds));
  const low = clamped | 0;
  const epoch = Math.round((clamped - low) / 2 ** 32);
  const nsec = clamped === seconds ? nanoseconds : 0;
  return { seconds: low >>> 0, extra: (nsec * 4 + epoch) >>> 0 };
}
