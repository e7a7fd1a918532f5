import { existsSync, readdirSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { runProgram } from '@boxship/host';
import { simpleGit } from 'simple-git';
import { bitbakeUser, yoctoFolder } from '../../tools/setup/bitbake-host.mjs';
import layers from './layers.json' with { type: 'json' };

export { yoctoFolder };
export type Release = keyof typeof layers.releases;
type Branches = Readonly<Record<string, string>>;

/** Folder of a checkout; `release` undefined: a tool, which has no release. */
export function checkout(release: Release | undefined, name: string): string {
  return join(yoctoFolder(), release ?? 'tools', name);
}

/** What a release needs to run its checks; the layers of vendors are asked for by themselves. */
export const CORE_LAYERS = ['openembedded-core', 'bitbake', 'meta-openembedded', 'meta-virtualization'];

/** Names of the checkouts that are not there. */
export function missingCheckouts(release: Release | undefined, names: readonly string[]): readonly string[] {
  return names.filter((name) => !existsSync(join(checkout(release, name), '.git')));
}

export const HOW_TO_GET_LAYERS =
  'BOXSHIP_YOCTO_FETCH=1 npm run test:yocto clones them (about 500 MB, addresses in test/yocto/layers.json); ' +
  'BOXSHIP_YOCTO_MIRRORS=FOLDER takes them from clones on this machine';

/**
 * Clones what is missing, when that was asked for: from the folder of clones `$BOXSHIP_YOCTO_MIRRORS` (each `<name>`,
 * `<name>.git` or `<owner>+<name>/repo`), or, with `$BOXSHIP_YOCTO_FETCH`, from the addresses in layers.json.
 */
export async function fetchCheckouts(env = process.env): Promise<void> {
  const mirrors = env['BOXSHIP_YOCTO_MIRRORS'];
  if (!mirrors && !env['BOXSHIP_YOCTO_FETCH']) return;
  const wanted: (readonly [Release | undefined, Branches])[] = [
    ...Object.entries(layers.releases).map(([release, branches]) => [release as Release, branches] as const),
    [undefined, layers.tools],
  ];
  for (const [release, branches] of wanted) {
    for (const [name, branch] of Object.entries(branches)) {
      if (missingCheckouts(release, [name]).length === 0) continue;
      const source = mirrors ? findMirror(mirrors, name) : addressOf(name);
      if (source === undefined) continue; // told by the checks that need it
      await clone(source, branch, checkout(release, name));
    }
  }
}

function addressOf(name: string): string {
  return (layers.repositories as Record<string, { url: string }>)[name]!.url;
}

function findMirror(folder: string, name: string): string | undefined {
  const entry = readdirSync(folder).find((one) => [name, `${name}.git`].includes(one) || one.endsWith(`+${name}`));
  if (entry === undefined) return undefined;
  const path = resolve(folder, entry);
  return existsSync(join(path, 'repo')) ? join(path, 'repo') : path;
}

/** The folder appears whole or not at all. */
async function clone(source: string, branch: string, folder: string): Promise<void> {
  const aside = `${folder}.partial`;
  await rm(aside, { recursive: true, force: true });
  await mkdir(join(folder, '..'), { recursive: true });
  const local = existsSync(source);
  const how = local ? ['--no-hardlinks', '--branch', branch] : ['--branch', branch, '--depth', '1'];
  await simpleGit().clone(source, aside, how);
  await rename(aside, folder);
}

/** Folders of Python modules, in the checkouts that have them. */
const MODULES = ['openembedded-core/meta/lib', 'openembedded-core/scripts/lib', 'bitbake/lib'];

/**
 * Lets Python keep the compiled modules of the checkouts. The user who builds cannot write them where the checkouts are
 * root's, and then every task, which is a process of its own, compiles them again: half of the time of a dry run.
 */
export async function compileModules(): Promise<void> {
  if (bitbakeUser() === undefined) return;
  const folders = Object.keys(layers.releases)
    .flatMap((release) => MODULES.map((path) => join(yoctoFolder(), release, path)))
    .filter((path) => existsSync(path));
  // a module of which Python says that it is wrong is left as it was
  if (folders.length > 0) await runProgram('python3', ['-m', 'compileall', '-q', ...folders], { accept: [0, 1] });
}

export interface LayerCommit {
  readonly branch: string;
  readonly commit: string;
}

/** Branch and commit of each of the checkouts: what a result was measured against. */
export async function layerCommits(
  release: Release | undefined,
  names: readonly string[] = CORE_LAYERS,
): Promise<Readonly<Record<string, LayerCommit>>> {
  const branches: Branches = release ? layers.releases[release] : layers.tools;
  const commits: Record<string, LayerCommit> = {};
  for (const name of names) {
    const folder = checkout(release, name);
    const git = simpleGit(folder, { config: [`safe.directory=${folder}`] });
    commits[name] = { branch: branches[name]!, commit: (await git.revparse(['HEAD'])).trim() };
  }
  return commits;
}
