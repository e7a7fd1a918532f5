import { runProgram } from '@boxship/host';
import { UserError } from '@boxship/model';

/** Skopeo's version, or undefined when it is not installed; in CI that is a failure. */
export async function findSkopeo(): Promise<string | undefined> {
  try {
    return (await runProgram('skopeo', ['--version'])).stdout.toString().trim();
  } catch (error) {
    if (!(error instanceof UserError) || process.env['CI'] === 'true') throw error;
    return undefined;
  }
}

export async function skopeo(...args: string[]): Promise<string> {
  return (await runProgram('skopeo', ['--insecure-policy', ...args], { timeout: 60_000 })).stdout.toString();
}
