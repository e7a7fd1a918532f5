/** See tezi-installer.mjs. */
export function installTezi(options: {
  readonly folder: string;
  readonly disk: string;
  readonly size: number;
  readonly scratch: string;
}): Promise<readonly { readonly number: number; readonly start: number; readonly size: number }[]>;
export function installTeziOnNand(options: {
  readonly folder: string;
  readonly ubi: string;
  readonly scratch: string;
  readonly look: (volume: string, root: string) => Promise<void>;
}): Promise<void>;
