import type { ChildProcess, StdioOptions } from 'node:child_process';

export interface RootSession {
  run(
    program: string,
    args: readonly string[],
    env?: Readonly<Record<string, string>>,
    options?: { readonly input?: string | Uint8Array; readonly accept?: readonly number[] },
  ): Promise<Buffer>;
  spawn(
    program: string,
    args: readonly string[],
    options: { readonly env?: Readonly<Record<string, string>>; readonly stdio: StdioOptions },
  ): ChildProcess;
}

/** Why no engine can be started here, or undefined. On CI (CI=true) nothing is skipped: there it throws. */
export function whyNoEngine(): string | undefined;

/** Calls `work` with namespaces in which `root` is the root directory and `folders` are at their paths. */
export function withRoot<T>(
  options: { readonly root: string; readonly folders: readonly string[]; readonly cgroup2?: boolean },
  work: (session: RootSession) => Promise<T>,
): Promise<T>;
