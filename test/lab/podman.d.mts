export const PODMAN_SUITES: Readonly<Record<'4.3' | '5.4' | '5.8', string>>;
export type PodmanVersion = keyof typeof PODMAN_SUITES;

export interface Podman {
  readonly version: string;
  /** What podman printed; rejects when it fails. */
  run(...words: readonly string[]): Promise<string>;
  /** What it complained of; '' when it worked. */
  fails(...words: readonly string[]): Promise<string>;
}

/** Calls `work` with the podman of `version` on `graphRoot`; `storageConf` changes the text of its storage.conf. */
export function withPodman<T>(
  options: {
    readonly version: string;
    readonly graphRoot: string;
    readonly storageConf?: (text: string) => string;
    readonly folders?: readonly string[];
  },
  work: (podman: Podman) => Promise<T>,
): Promise<T>;
