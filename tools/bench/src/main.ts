import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { formatByteSize } from '@boxship/model';
import { loadAndPack } from './docker.ts';
import { measure, type Measured } from './measure.ts';
import { scaleWorkload, workloads, writeProduct } from './workload.ts';

const { values } = parseArgs({
  options: {
    workload: { type: 'string', default: 'mixed' },
    scale: { type: 'string', default: '1' },
    base: { type: 'string' },
    folder: { type: 'string' },
    docker: { type: 'boolean', default: false },
  },
});
const dist = fileURLToPath(new URL('../', import.meta.url));
const boxship = join(dist, 'boxship.mjs');
const testCache = process.env['BOXSHIP_TEST_CACHE'] ?? join(homedir(), '.cache/boxship-test');

const chosen = workloads[values.workload];
if (!chosen || !values.base || !existsSync(values.base)) {
  console.error(
    `usage: npm run bench -- --base VENDOR.img [--workload ${Object.keys(workloads).join('|')}] [--scale N] [--docker]`,
  );
  process.exit(2);
}
const workload = scaleWorkload(chosen, Number(values.scale));
const key = createHash('sha256').update(JSON.stringify(workload)).digest('hex').slice(0, 12);
const folder = values.folder ?? join(testCache, 'bench', `${values.workload}-${key}`);
mkdirSync(folder, { recursive: true });
console.log(`workload ${values.workload} in ${folder}`);
await writeProduct(folder, workload, values.base);

const env = { COSIGN_PASSWORD: 'bench' };
const cache = join(folder, 'cache');
const deploy = join(folder, 'deploy');
const run = (...args: string[]): Promise<Measured> =>
  // the file itself, for the sake of the flags in its first line
  measure(boxship, ['-f', join(folder, 'boxship.yaml'), '--cache', cache, '-q', ...args], env);
const clean = (): void => rmSync(deploy, { recursive: true, force: true });

if (!existsSync(join(folder, 'bench.key')))
  await run('keygen', '--development', '--output-key-prefix', join(folder, 'bench'));
rmSync(cache, { recursive: true, force: true });
clean();
const lock = await run('lock');
show('lock (fetch, verify, inventories)', lock);

const locked = JSON.parse(readFileSync(join(folder, 'boxship.lock'), 'utf8')) as {
  images: { reference: string; layers: { blob: { digest: string; size: number }; diffId: string }[] }[];
};
const blobs = (images: typeof locked.images): string[] => [
  ...new Set(images.flatMap(({ layers }) => layers.map(({ blob }) => blob.digest.slice('sha256:'.length)))),
];
const blobPath = (hex: string): string => join(cache, 'blob', hex.slice(0, 2), hex);
const all = blobs(locked.images);
console.log(
  `${locked.images.length} images, ${all.length} unique layers, ${formatByteSize(all.reduce((sum, hex) => sum + statSync(blobPath(hex)).size, 0))} compressed`,
);

const floorFolder = join(folder, 'floor');
const floor = async (hexes: readonly string[]): Promise<Measured> => {
  rmSync(floorFolder, { recursive: true, force: true });
  mkdirSync(floorFolder);
  await measure('sync', []);
  const result = await measure(process.execPath, [
    join(dist, 'bench/floor.mjs'),
    floorFolder,
    values.base!,
    ...hexes.map(blobPath),
  ]);
  rmSync(floorFolder, { recursive: true, force: true });
  return result;
};
const composed = async (...variants: string[]): Promise<Measured> => {
  clean();
  await measure('sync', []);
  return await run('compose', '--out', deploy, ...variants.flatMap((variant) => ['--variant', variant]));
};

const floors = [await floor(all)];
const colds = [await composed('second')];
floors.push(await floor(all));
colds.push(await composed('second'));
floors.push(await floor(all));
const floorBest = best(floors);
const coldBest = best(colds);
show('floor (copy the base, inflate, write once, fsync)', floorBest);
show('cold compose to a raw image', coldBest);
ratio('cold compose / floor', coldBest, floorBest, 1.3);

const again = await run('compose', '--out', deploy, '--variant', 'second');
show('compose again, nothing changed', again);

const first = await composed('first');
const both = await composed('first', 'second');
const image = join(deploy, 'bench-1/qemux86-64-docker-second/bench-1-qemux86-64-second.img');
const plain = await plainWrite(statSync(image).blocks * 512);
show('one variant', first);
show('two variants that share all layers but one', both);
console.log(`plain write of the second's bytes: ${plain.toFixed(2)} s`);
const extra = Math.max(0, both.seconds - first.seconds - plain);
console.log(`second variant, less the write, / first: ${(extra / first.seconds).toFixed(2)} (at most 0.30)`);
console.log(
  `peak memory: ${formatByteSize(Math.max(lock.peakBytes, ...colds.map((one) => one.peakBytes), both.peakBytes))} (at most 256 MiB)`,
);

if (values.docker) {
  const docker = await loadAndPack(
    locked.images.map(({ reference }) => reference),
    folder,
  );
  show('dockerd: load into an empty data root, then tar of it', docker);
  ratio('dockerd / cold compose', docker, coldBest);
}
clean();

async function plainWrite(bytes: number): Promise<number> {
  await measure('sync', []);
  const path = join(folder, 'plain');
  const started = process.hrtime.bigint();
  const handle = await open(path, 'w');
  const block = Buffer.alloc(1024 * 1024, 0x5a);
  for (let done = 0; done < bytes; done += block.length) await handle.write(block);
  await handle.sync();
  await handle.close();
  rmSync(path);
  return Number(process.hrtime.bigint() - started) / 1e9;
}

function best(runs: readonly Measured[]): Measured {
  return [...runs].sort((a, b) => a.seconds - b.seconds)[0]!;
}

function show(label: string, { seconds, peakBytes }: Measured): void {
  console.log(`${label}: ${seconds.toFixed(2)} s, peak ${formatByteSize(peakBytes)}`);
}

function ratio(label: string, a: Measured, b: Measured, limit?: number): void {
  const aim = limit === undefined ? '' : ` (at most ${limit})`;
  console.log(`${label}: ${(a.seconds / b.seconds).toFixed(2)}${aim}`);
}
