import { spawnSync } from 'node:child_process';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { fileWriter, programPath, runProgram, withScratch } from '@boxship/host';
import type { RandomWriter, Tree } from '@boxship/model';
import { planExt4, writeExt4, type Ext4Options, type Ext4Plan } from '../index.ts';

export const OPTIONS: Ext4Options = {
  uuid: '6b8f2d5e-1f0a-4c55-9d5e-0a1b2c3d4e5f',
  hashSeed: '11112222-3333-4444-5555-666677778888',
  label: 'boxship-store',
  epoch: 1_700_000_000,
  size: { auto: true, reserveFraction: 0.1 },
};

/** Why a test of the kernel cannot run here, or nothing. A missing tool is a failure in CI, a missing root is not. */
export function kernelMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root: no loop mount';
  return toolsMissing('mount', 'e2fsck', 'mke2fs', 'getfattr', 'setfattr', 'tar');
}

export function toolsMissing(...tools: string[]): string | undefined {
  const missing = tools.filter(
    (tool) => spawnSync('sh', ['-c', 'command -v "$0"', tool], { env: { PATH: programPath() } }).status !== 0,
  );
  if (missing.length === 0) return undefined;
  if (process.env['CI'] === 'true') throw new Error(`missing in CI: ${missing.join(', ')}`);
  return `missing: ${missing.join(', ')}`;
}

/** Plans and writes `tree` to `file`; `around` may write first, knowing the plan. */
export async function writeImage(
  tree: Tree,
  file: string,
  options: Partial<Ext4Options> = {},
  around: (plan: Ext4Plan, target: RandomWriter) => Promise<void> = async () => {},
): Promise<Ext4Plan> {
  const plan = planExt4(tree, { ...OPTIONS, ...options });
  const handle = await open(file, 'w+');
  try {
    const target = fileWriter(handle);
    await around(plan, target);
    await writeExt4(plan, target);
    const { size } = await handle.stat();
    if (size !== plan.sizeBytes) throw new Error(`the image has ${size} bytes, the plan ${plan.sizeBytes}`);
  } finally {
    await handle.close();
  }
  return plan;
}

/** Throws what e2fsck complains of. `-fn` answers every question with no, and ends with 0 only when there is none. */
export async function checkImage(file: string): Promise<void> {
  const { stdout } = await runProgram('e2fsck', ['-fn', file]);
  const text = stdout.toString();
  const passes = text.split('\n').filter((line) => line && !/^Pass [1-5]: |non-contiguous/.test(line));
  if (passes.length > 0) throw new Error(text);
}

/** Mounts an image through a loop device while `work` runs. */
export async function withMount<T>(
  file: string,
  options: string,
  work: (folder: string) => Promise<T>,
  parent?: string,
): Promise<T> {
  return await withScratch(async (scratch) => {
    const folder = join(scratch, 'mount');
    await mkdir(folder);
    await runProgram('mount', ['-o', `loop,${options}`, '-t', 'ext4', file, folder]);
    try {
      return await work(folder);
    } finally {
      await runProgram('umount', [folder]);
    }
  }, parent);
}

/** Every path below `folder` as `find` sees it: attributes, link targets and digests; and its attributes as `getfattr`. */
export async function listTree(folder: string): Promise<string[]> {
  const cwd = folder;
  const attributes = '%P|%y|%m|%U|%G|%T@|%n|%l|';
  const [others, files, digests, devices, xattrs] = await Promise.all([
    runProgram('find', ['.', '!', '-type', 'f', '-printf', `${attributes}\\n`], { cwd }),
    runProgram('find', ['.', '-type', 'f', '-printf', `${attributes}%s\\n`], { cwd }),
    runProgram('find', ['.', '-type', 'f', '-exec', 'sha256sum', '{}', '+'], { cwd }),
    runProgram('find', ['.', '(', '-type', 'b', '-o', '-type', 'c', ')', '-exec', 'stat', '-c', '%n %t:%T', '{}', '+'], { cwd }), // prettier-ignore
    runProgram('getfattr', ['-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '.'], { cwd }),
  ]);
  const lines = [others, files, digests, devices].flatMap(({ stdout }) => stdout.toString('latin1').split('\n'));
  let file = '';
  for (const line of xattrs.stdout.toString('latin1').split('\n')) {
    if (line.startsWith('# file: ')) file = line.slice(8);
    else if (line) lines.push(`${file} ${line}`);
  }
  return lines.filter((line) => line).sort();
}
