import type { RandomReader } from '@boxship/model';

/** What an updater's file says of itself. */
export interface UpdateContent {
  /** The updater's own description of it, as it is in the file: manifest.raucm, sw-description, header-info. */
  readonly description: string;
  /** What it holds beside that, in its order. Sizes in bytes, as they are in the file. */
  readonly members: readonly { readonly name: string; readonly size: number }[];
}

/** Reads one kind of updater's file, without its payload. */
export interface UpdateReader {
  readonly name: string;
  /** Undefined when the file is of another kind. Errors: BAD_UPDATE for one that begins as this kind and is damaged. */
  read(file: RandomReader, name: string): Promise<UpdateContent | undefined>;
}

/** Descriptions are read into memory: none that an updater takes is larger. */
export const DESCRIPTION_MAX = 1 << 20;
/** An update has a dozen members. */
export const MEMBERS_MAX = 1000;
