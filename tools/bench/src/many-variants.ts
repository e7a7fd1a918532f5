import { writeProductFile } from './workload.ts';
import type { Measured } from './measure.ts';

/** Runs of a product of many variants, all of them in one run, the first `n % apps` apps in turn: what a product team has. */
export async function measureManyVariants(
  { folder, names, base, count, runs }: ManyVariants,
  { lock, compose }: { lock(): Promise<unknown>; compose(): Promise<Measured> },
): Promise<readonly Measured[]> {
  const variants = Object.fromEntries(
    Array.from({ length: count }, (_, number) => [
      `v${number}`,
      `{ apps: [${names.slice(0, 1 + (number % names.length)).join(', ')}] }`,
    ]),
  );
  writeProductFile(folder, names, base, { variants });
  await lock();
  const measures: Measured[] = [];
  for (let run = 0; run < runs; run++) measures.push(await compose());
  return measures;
}

export interface ManyVariants {
  readonly folder: string;
  /** Of the apps. */
  readonly names: readonly string[];
  /** The vendor's image. */
  readonly base: string;
  readonly count: number;
  readonly runs: number;
}
