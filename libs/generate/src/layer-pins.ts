import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeFileAtomically } from '@boxship/host';
import { UserError } from '@boxship/model';

/** Commits of the layers of others, by release, then by `<repository>#<branch>`. */
export type LayerPins = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** `boxship-layers.lock` beside the product file. */
export function layerPinsPath(productFile: string): string {
  return join(dirname(productFile), 'boxship-layers.lock');
}

/** What `--pin` wrote; nothing when it never did. Errors: BAD_LAYER_PINS. */
export async function readLayerPins(productFile: string): Promise<LayerPins> {
  const path = layerPinsPath(productFile);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return undefined;
  });
  if (text === undefined) return {};
  try {
    const { lockVersion, layers } = JSON.parse(text) as { lockVersion?: unknown; layers?: LayerPins };
    if (lockVersion === 1 && typeof layers === 'object' && layers !== null && allCommits(layers)) return layers;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new UserError('BAD_LAYER_PINS', `${path} is not a list of commits`, 'Write it again: boxship layer --pin');
}

export async function writeLayerPins(productFile: string, layers: LayerPins): Promise<void> {
  await writeFileAtomically(layerPinsPath(productFile), `${JSON.stringify({ lockVersion: 1, layers }, null, 2)}\n`);
}

export function pinOf(pins: LayerPins | undefined, release: string, repository: string, branch: string) {
  if (!pins || !Object.hasOwn(pins, release)) return undefined;
  const key = pinKey(repository, branch);
  return Object.hasOwn(pins[release]!, key) ? pins[release]![key] : undefined;
}

export function pinKey(repository: string, branch: string): string {
  return `${repository}#${branch}`;
}

function allCommits(layers: LayerPins): boolean {
  return Object.values(layers).every(
    (pins) => typeof pins === 'object' && pins !== null && Object.values(pins).every((commit) => /^[0-9a-f]{40}$/.test(commit)),
  );
} // prettier-ignore
