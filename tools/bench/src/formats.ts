import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { median, type Measured } from './measure.ts';

/** Formats that are made of one disk image and its contents, each in another way. */
const FORMATS = ['raw', 'rootfs-tar', 'rauc', 'swupdate', 'mender'];

export interface FormatMeasures {
  /** Runs of each format alone, by its name. */
  readonly alone: Readonly<Record<string, readonly Measured[]>>;
  readonly together: readonly Measured[];
}

/**
 * Composes one variant in each format alone and in all of them in one run, in turn. `lock` writes down the programs that a format
 * needs; `compose` starts from an empty output folder.
 */
export async function measureFormats(
  folder: string,
  runs: number,
  { lock, compose }: { lock(): Promise<unknown>; compose(): Promise<Measured> },
): Promise<FormatMeasures> {
  const alone: Record<string, Measured[]> = Object.fromEntries(FORMATS.map((name) => [name, []]));
  const together: Measured[] = [];
  const withFormats = async (formats: readonly string[]) => {
    setArtifacts(folder, formats);
    await lock();
    return await compose();
  };
  for (let run = 0; run < runs; run++) {
    for (const name of FORMATS) alone[name]!.push(await withFormats([name]));
    together.push(await withFormats(FORMATS));
  }
  return { alone, together };
}

/** The one that takes longest by the clock. */
export function slowestOf({ alone }: FormatMeasures): readonly [name: string, measured: Measured] {
  const medians = Object.entries(alone).map(([name, runs]) => [name, median(runs)] as const);
  return medians.reduce((slowest, one) => (one[1].seconds > slowest[1].seconds ? one : slowest));
}

/** Writes another list of artifacts, or another base under another machine, into the product file. */
export function setArtifacts(folder: string, formats: readonly string[], machine?: string): void {
  const file = join(folder, 'boxship.yaml');
  const text = readFileSync(file, 'utf8').replace(/^artifacts: .*$/m, `artifacts: [${formats.join(', ')}]`);
  writeFileSync(file, machine === undefined ? text : text.replace(/^machines:\n.*$/m, `machines:\n  ${machine}`));
}
