import { artifactFormat } from '@boxship/formats';
import { runProgram } from '@boxship/host';
import { UserError } from '@boxship/model';
import type { Product } from './product.ts';

/** How each program tells its version: the first match of a dotted number in what it prints. */
const VERSION_ARGUMENTS: Readonly<Record<string, readonly string[]>> = {
  debugfs: ['-V'],
  gzip: ['--version'],
  mksquashfs: ['-version'],
  xz: ['--version'],
  zstd: ['--version'],
};

/** Host programs whose version can change bytes of the product's artifacts, sorted. */
export function neededPrograms(product: Product): readonly string[] {
  const programs = new Set(['debugfs']); // edits a rootfs
  for (const { options } of product.machines.flatMap(({ artifacts }) => artifacts)) {
    for (const program of artifactFormat(options.format).programs(options)) programs.add(program);
  }
  return [...programs].sort();
}

/** Their versions on this machine. */
export async function pickVersions(product: Product): Promise<Readonly<Record<string, string>>> {
  const versions: Record<string, string> = {};
  for (const program of neededPrograms(product)) versions[program] = await versionOf(program);
  return versions;
}

/** Refuses other versions of these programs than the lock has. Errors: TOOL_VERSION with both. */
export async function checkVersions(locked: Readonly<Record<string, string>>): Promise<void> {
  const problems = [];
  for (const [program, version] of Object.entries(locked)) {
    if (!Object.hasOwn(VERSION_ARGUMENTS, program)) continue;
    const here = await versionOf(program);
    if (here === version) continue;
    problems.push({
      code: 'TOOL_VERSION',
      message: `${program} is of version ${here} here; boxship.lock was made with ${version}, and another version can make other bytes`,
      hint: 'Use that version, run boxship lock again, or allow it: --allow-tool-versions.',
    });
  }
  if (problems.length > 0) throw new UserError(problems);
}

async function versionOf(program: string): Promise<string> {
  const { stdout, stderr } = await runProgram(program, VERSION_ARGUMENTS[program]!);
  const version = /\d+\.\d+(?:\.\d+)*/.exec(`${stderr}\n${stdout.toString()}`)?.[0];
  if (version === undefined) throw new UserError('TOOL_VERSION', `${program} does not tell its version`);
  return version;
}
