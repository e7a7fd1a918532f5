/**
 * Gives back at once what is no longer used, where the program was started with `--expose-gc` (dist/boxship.mjs is); elsewhere
 * that is left to V8, which can hold 64 MiB and more of used buffers. For the moment after something large was dropped.
 */
export function releaseMemory(): void {
  (globalThis as { gc?: () => void }).gc?.();
}
