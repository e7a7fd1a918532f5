import type { RootSession } from './root-session.mjs';

export const CONTAINERD_VERSIONS: Readonly<Record<'1.6' | '1.7' | '2.1', string>>;
export type ContainerdVersion = keyof typeof CONTAINERD_VERSIONS;

export interface Containerd {
  readonly version: string;
  readonly socket: string;
  readonly session: RootSession;
  /** What `ctr` printed; rejects with its words when it fails. */
  ctr(...words: readonly string[]): Promise<string>;
  /** What the daemon has logged so far. */
  log(): string;
}

/** Calls `work` with a containerd of `version` on the folder `state`, and stops it whatever happens. */
export function withContainerd<T>(
  options: {
    readonly version: string;
    readonly state: string;
    readonly folders?: readonly string[];
    readonly cri?: boolean;
    readonly sandboxImage?: string;
  },
  work: (containerd: Containerd) => Promise<T>,
): Promise<T>;
