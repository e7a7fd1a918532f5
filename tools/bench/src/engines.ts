import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import type { Measured } from './measure.ts';
import { writeProductFile } from './workload.ts';

/** What a variant of each engine says, by its name: all of them are made for one base image and hold the same bundle. */
const ENGINES = {
  overlay2: '{ name: docker, imageStore: overlay2 }',
  containerdstore: '{ name: docker, imageStore: containerd }',
  podman: 'podman',
  containerd: 'containerd',
  k3s: '{ name: k3s, images: [registry.example.com/rancher/pause:3.6] }',
} as const;
export type EngineVariant = keyof typeof ENGINES;
/** As people call them. */
const TITLES: Readonly<Record<EngineVariant, string>> = {
  overlay2: 'docker, overlay2',
  containerdstore: "docker, containerd's store",
  podman: 'podman',
  containerd: 'containerd',
  k3s: 'k3s',
};
export const engineVariants = Object.keys(ENGINES) as EngineVariant[];

/** The product of a workload with a variant for each engine, in place of the one that `writeProduct` wrote. */
export function writeEngineVariants(folder: string, names: readonly string[], vendorImage: string): void {
  const apps = `[${names.join(', ')}]`;
  writeProductFile(folder, names, vendorImage, {
    variants: Object.fromEntries(engineVariants.map((name) => [name, `{ apps: ${apps}, engine: ${ENGINES[name]} }`])),
    furtherImages: { 'registry.example.com/rancher/pause:3.6': names[0]! },
    service: '    network_mode: host\n', // containerd alone has no networks to give
  });
}

export interface EngineMeasures {
  readonly runs: Readonly<Record<EngineVariant, readonly Measured[]>>;
  /** Bytes of the blocks that hold something in the store partition, as e2fsprogs counts them; without ext4's own tables. */
  readonly storeBytes: Readonly<Record<EngineVariant, number>>;
}

/** Composes the variant of each engine, in turn, `times` times; each starts from an empty output folder. */
export async function measureEngines(
  times: number,
  compose: (variant: EngineVariant) => Promise<Measured>,
  deploy: string,
): Promise<EngineMeasures> {
  const runs = Object.fromEntries(engineVariants.map((name) => [name, [] as Measured[]])) as Record<EngineVariant, Measured[]>; // prettier-ignore
  const storeBytes = {} as Record<EngineVariant, number>;
  for (let run = 0; run < times; run++) {
    for (const name of engineVariants) {
      runs[name].push(await compose(name));
      if (run === 0) storeBytes[name] = await usedInStore(deploy, name);
    }
  }
  return { runs, storeBytes };
}

async function usedInStore(deploy: string, variant: EngineVariant): Promise<number> {
  const { stdout } = await runProgram('find', [deploy, '-name', 'release.json', '-path', `*-${variant}/*`]);
  const file = stdout.toString().trim();
  const { files, partitions } = JSON.parse(readFileSync(file, 'utf8')) as {
    files: { name: string }[];
    partitions: { role: string; start: number }[];
  };
  const image = join(file, '..', files.find(({ name }) => name.endsWith('.img'))!.name);
  const { start } = partitions.find(({ role }) => role === 'store')!;
  const said = (await runProgram('debugfs', ['-R', 'stats -h', `${image}?offset=${start}`])).stdout.toString();
  const count = (name: string) => {
    const found = new RegExp(`^${name}: +(\\d+)$`, 'm').exec(said)?.[1];
    if (found === undefined) throw new Error(`debugfs says nothing of "${name}":\n${said}`);
    return Number(found);
  };
  return count('Block size') * (count('Block count') - count('Free blocks') - count('Overhead clusters'));
}

export interface UnpackedLayers {
  /** Sum of the sizes of files (`st_size`), each inode once. */
  readonly sizes: number;
  /** Blocks of files, folders and links on a file system with blocks of 4 KiB, as `du` counts them. */
  readonly blocks: number;
  readonly files: number;
}

/** What GNU tar makes of layers (gzip), each in a folder of its own below `scratch`, which is removed again. */
export async function unpackLayers(blobs: readonly string[], scratch: string): Promise<UnpackedLayers> {
  rmSync(scratch, { recursive: true, force: true });
  let [sizes, files] = [0, 0];
  try {
    for (const [index, blob] of blobs.entries()) {
      const folder = join(scratch, String(index));
      mkdirSync(folder, { recursive: true });
      await runProgram('tar', ['-xzf', blob, '-C', folder]);
      const { stdout } = await runProgram('find', [folder, '-type', 'f', '-printf', '%i %s\\n']);
      const found = new Set(stdout.toString().trim().split('\n').filter(Boolean)); // a hard link comes with each name
      files += found.size;
      for (const line of found) sizes += Number(line.split(' ')[1]);
    }
    await runProgram('sync', ['-f', scratch]); // blocks are given when they are written
    const { stdout } = await runProgram('du', ['-s', '-B1', scratch]);
    return { sizes, files, blocks: Number.parseInt(stdout.toString(), 10) };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** One line of the table for each engine. `reference` is overlay2's median. */
export function engineLine(
  variant: EngineVariant,
  { seconds, cpuSeconds, userSeconds }: Measured,
  reference: Measured,
  storeBytes: number,
  layers: UnpackedLayers,
): string {
  const beyond = (bytes: number) => `${((100 * (storeBytes - bytes)) / bytes).toFixed(2)} %`;
  return [
    `${TITLES[variant]}: cold compose ${seconds.toFixed(2)} s, CPU ${cpuSeconds.toFixed(2)} s, user ${userSeconds.toFixed(2)} s`,
    `to docker overlay2: time ${(seconds / reference.seconds).toFixed(2)}, CPU ${(cpuSeconds / reference.cpuSeconds).toFixed(2)}, user ${(userSeconds / reference.userSeconds).toFixed(2)} (at most 1.10)`,
    `store ${(storeBytes / 1e6).toFixed(1)} MB: beyond the files' sizes ${beyond(layers.sizes)}, beyond their blocks ${beyond(layers.blocks)} (at most 3 %)`,
  ].join('; ');
}
