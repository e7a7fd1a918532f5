/** See tezi-installer.mjs. */
export function installTezi(options: {
  readonly folder: string;
  readonly disk: string;
  readonly size: number;
  readonly scratch: string;
}): Promise<readonly { readonly number: number; readonly start: number; readonly size: number }[]>;
