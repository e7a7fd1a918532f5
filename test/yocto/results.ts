import { createHash } from 'node:crypto';
import { readFile, readdir, rename, writeFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'vitest';
import { HOW_TO_GET_LAYERS, CORE_LAYERS, layerCommits, missingCheckouts, yoctoFolder } from './checkouts.ts';
import type { LayerCommit, Release } from './checkouts.ts';
import { buildObstacle } from './build-folder.ts';

/** What a check that passed has found: numbers and short words, for docs/yocto-results.md. */
export type Findings = Readonly<Record<string, string | number>>;

export interface Result {
  /** `<release>/<subject>/<check>`. */
  readonly name: string;
  readonly date: string;
  readonly seconds: number;
  readonly layers: Readonly<Record<string, LayerCommit>>;
  /** Digest over everything that the check looked at; another one, and it runs again. */
  readonly inputs: string;
  readonly findings: Findings;
}

export interface ProofOptions {
  readonly release: Release | undefined;
  /** Checkouts that are needed; default: the core layers. */
  readonly checkouts?: readonly string[];
  /** Files and folders of ours that decide the outcome; the checks' own file too. */
  readonly inputs: () => readonly string[];
  /** Why the check cannot run on this machine, if so; default: what bitbake needs (user, locale, host programs). */
  readonly obstacle?: () => Promise<string | undefined>;
}

const folder = () => join(yoctoFolder(), 'results');

/**
 * A check against real layers, as a test. What passed is kept and not run again while layers and inputs are the same
 * (`BOXSHIP_YOCTO_AGAIN=1` runs it all the same), so that an interrupted run goes on where it was. Without the layers it is
 * skipped, visibly; with CI=true it fails then.
 */
export function proof(name: string, options: ProofOptions, work: () => Promise<Findings>): void {
  const { release, checkouts = release ? CORE_LAYERS : [], obstacle: look = buildObstacle } = options;
  it(name, { timeout: 3 * 3600 * 1000 }, async (context) => {
    const missing = missingCheckouts(release, checkouts);
    const obstacle =
      missing.length > 0
        ? `${missing.join(', ')} ${missing.length > 1 ? 'are' : 'is'} not there: ${HOW_TO_GET_LAYERS}`
        : await look();
    if (obstacle !== undefined) {
      if (process.env['CI'] === 'true') throw new Error(obstacle);
      console.warn(`skipped ${name}: ${obstacle}`);
      context.skip(obstacle);
    }
    const layers = await layerCommits(release, checkouts);
    const inputs = await digestOf(options.inputs(), JSON.stringify(layers));
    const kept = await readResult(name);
    if (kept?.inputs === inputs && !process.env['BOXSHIP_YOCTO_AGAIN']) {
      console.log(`${name}: passed on ${kept.date} with the same layers and inputs`);
      return;
    }
    const began = Date.now();
    const findings = await work();
    const seconds = Math.round((Date.now() - began) / 100) / 10;
    await keepResult({ name, date: new Date().toISOString().slice(0, 16), seconds, layers, inputs, findings });
  });
}

export async function readResults(): Promise<readonly Result[]> {
  const names = await readdir(folder()).catch(() => []);
  const results: Result[] = [];
  for (const name of names.sort()) {
    if (name.endsWith('.json')) results.push(JSON.parse(await readFile(join(folder(), name), 'utf8')) as Result);
  }
  return results;
}

const fileOf = (name: string) => join(folder(), `${name.replaceAll('/', '--')}.json`);

async function readResult(name: string): Promise<Result | undefined> {
  const text = await readFile(fileOf(name), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Result);
}

async function keepResult(result: Result): Promise<void> {
  await mkdir(folder(), { recursive: true });
  const file = fileOf(result.name);
  await writeFile(`${file}.partial`, `${JSON.stringify(result, null, 2)}\n`);
  await rename(`${file}.partial`, file);
}

/** Over names and contents of all files, in the order of their names. */
async function digestOf(paths: readonly string[], more: string): Promise<string> {
  const hash = createHash('sha256').update(more);
  const add = async (path: string, name: string): Promise<void> => {
    const entries = await readdir(path, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOTDIR') return undefined;
      throw error;
    });
    if (entries === undefined) {
      hash.update(`${name}\0`).update(await readFile(path));
      return;
    }
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.isSymbolicLink()) hash.update(`${name}/${entry.name}\0link`);
      else await add(join(path, entry.name), `${name}/${entry.name}`);
    }
  };
  for (const [i, path] of paths.entries()) await add(path, String(i));
  return hash.digest('hex');
}
