export const PODMAN_SUITES: Readonly<Record<'4.3' | '5.4' | '5.8', string>>;
export type PodmanVersion = keyof typeof PODMAN_SUITES;

export interface Podman {
  readonly version: string;
  /** What podman printed; rejects when it fails. */
  run(...words: readonly string[]): Promise<string>;
  /** What it complained of; '' when it worked. */
  fails(...words: readonly string[]): Promise<string>;
}

/** Calls `work` with the podman of `version` on `graphRoot`, and with read-only `imageStores` beside it. */
export function withPodman<T>(
  options: {
    readonly version: string;
    readonly graphRoot: string;
    readonly imageStores?: readonly string[];
    readonly folders?: readonly string[];
  },
  work: (podman: Podman) => Promise<T>,
): Promise<T>;
