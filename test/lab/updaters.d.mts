/** How to start a program of a Debian package that is unpacked beside the system; see updaters.mjs. */
export function updaterCommand(wanted: {
  readonly suite: string;
  readonly package: string;
  /** Default: named as the package. */
  readonly program?: string;
}): Promise<{ readonly command: string; readonly args: readonly string[] }>;
