import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runProgram } from '@boxship/host';
import { formatByteSize } from '@boxship/model';
import { loadAndPack } from './docker.ts';
import { engineLine, engineVariants, measureEngines, unpackLayers, writeEngineVariants } from './engines.ts';
import { measureFormats, setArtifacts, slowestOf } from './formats.ts';
import { measureLayers } from './layer-workload.ts';
import { measureManyVariants } from './many-variants.ts';
import { measure, median, type Measured } from './measure.ts';
import { scaleWorkload, workloads, writeProduct } from './workload.ts';

const { values } = parseArgs({
  options: {
    workload: { type: 'string', default: 'mixed' },
    scale: { type: 'string', default: '1' },
    runs: { type: 'string', default: '3' },
    short: { type: 'boolean', default: false },
    base: { type: 'string' },
    folder: { type: 'string' },
    docker: { type: 'boolean', default: false },
    formats: { type: 'boolean', default: false },
    tezi: { type: 'string' },
    engines: { type: 'boolean', default: false },
    many: { type: 'string' },
  },
});
const dist = fileURLToPath(new URL('../', import.meta.url));
const boxship = join(dist, 'boxship.mjs');
const testCache = process.env['BOXSHIP_TEST_CACHE'] ?? join(homedir(), '.cache/boxship-test');

if (values.workload === 'layer') {
  await measureLayers(boxship, values.folder ?? join(testCache, 'bench', 'layer'), Number(values.runs));
  process.exit();
}
const chosen = workloads[values.workload];
if (!chosen || !values.base || !existsSync(values.base)) {
  console.error(
    `usage: npm run bench -- --base VENDOR.img [--workload ${Object.keys(workloads).join('|')}|layer] [--scale N] [--runs N] [--short] [--formats] [--engines] [--docker] [--tezi FOLDER] [--many VARIANTS]`,
  );
  process.exit(2);
}
const workload = scaleWorkload(chosen, Number(values.scale));
const key = createHash('sha256').update(JSON.stringify(workload)).digest('hex').slice(0, 12);
const folder = values.folder ?? join(testCache, 'bench', `${values.workload}-${key}`);
mkdirSync(folder, { recursive: true });
console.log(`workload ${values.workload} in ${folder}`);
// a copy: tests that run beside touch theirs, and its digest would be taken again
const base = join(folder, 'base.img');
if (!existsSync(base)) await runProgram('cp', ['--sparse=always', values.base, base]);
const names = await writeProduct(folder, workload, base);
if (values.engines) writeEngineVariants(folder, names, base);

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
show('lock (fetch, verify, inventories)', [lock]);

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
    base,
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

const times = async (work: () => Promise<void>): Promise<void> => {
  for (let run = 0; run < Number(values.runs); run++) await work();
};
if (values.formats) {
  await compareFormats();
  process.exit();
}
if (values.engines) {
  await compareEngines();
  process.exit();
}
if (values.tezi !== undefined) {
  await compareTezi(values.tezi);
  process.exit();
}
if (values.many !== undefined) {
  await showManyVariants(Number(values.many));
  process.exit();
}
const [floors, colds]: Measured[][] = [[], []];
await times(async () => {
  floors!.push(await floor(all));
  colds!.push(await composed('second'));
});
const cold = median(colds!);
show('floor (copy the base, inflate, write once, fsync)', floors!);
show('cold compose to a raw image', colds!);
ratio('cold compose / floor', cold, median(floors!), 1.3);

const again: Measured[] = [];
await times(async () => {
  again.push(await run('compose', '--out', deploy, '--variant', 'second'));
});
show('compose again, nothing changed (at most 1 s)', again);

const seconds = values.short ? [] : await measureVariants();
console.log(
  `peak memory of the process tree: ${formatByteSize(Math.max(...[lock, ...colds!, ...seconds].map(({ peakBytes }) => peakBytes)))} (at most 256 MiB)`,
);

if (values.docker) {
  const docker = await loadAndPack(
    locked.images.map(({ reference }) => reference),
    folder,
  );
  show('dockerd: load into an empty data root, then tar of it', [docker]);
  console.log(`dockerd / cold compose: time ${(docker.seconds / cold.seconds).toFixed(2)}`);
}
clean();

/** Five formats in one run against the slowest of them alone. */
async function compareFormats(): Promise<void> {
  const measures = await measureFormats(folder, Number(values.runs), {
    lock: () => run('lock'),
    compose: () => composed('second'),
  });
  for (const [name, runs] of Object.entries(measures.alone)) show(`${name} alone`, runs);
  show('all of them in one run', measures.together);
  const [name, slowest] = slowestOf(measures);
  ratio(`all / ${name}`, median(measures.together), slowest, 1.3);
  clean();
}

/** So many variants in one run: above all the memory that they take. */
async function showManyVariants(count: number): Promise<void> {
  const measures = await measureManyVariants(
    { folder, names, base, count, runs: Number(values.runs) },
    { lock: () => run('lock'), compose: () => composed() },
  );
  show(`${count} variants in one run (at most 256 MiB)`, measures);
  clean();
}

/** The same bundle for each engine, in turn, against docker overlay2; and what its store takes beyond the layers. */
async function compareEngines(): Promise<void> {
  const layers = await unpackLayers(all.map(blobPath), join(folder, 'unpacked'));
  console.log(
    `the unique layers, unpacked by GNU tar: ${layers.files} files, ${(layers.sizes / 1e6).toFixed(1)} MB by their sizes, ${(layers.blocks / 1e6).toFixed(1)} MB in blocks as du counts them`,
  );
  const { runs, storeBytes } = await measureEngines(Number(values.runs), composed, deploy);
  for (const name of engineVariants) {
    console.log(engineLine(name, median(runs[name]), median(runs.overlay2), storeBytes[name], layers));
  }
  clean();
}

/** An image for Toradex Easy Installer against what packs the same containers today: docker load, tar, xz. */
async function compareTezi(tezi: string): Promise<void> {
  setArtifacts(folder, ['tezi'], `tezi-x86-64: { base: ${tezi} }`);
  await run('lock');
  const composes: Measured[] = [];
  await times(async () => void composes.push(await composed('second')));
  show('cold compose to an image for the installer', composes);
  const docker = await loadAndPack(locked.images.map(({ reference }) => reference), folder, { xz: true }); // prettier-ignore
  show('docker load into an empty data root, tar, xz with one thread', [docker]);
  ratio('compose / docker load, tar, xz', median(composes), docker);
  clean();
}

/**
 * What a second variant costs that shares all layers but one; returns the runs of both. The plain write that is taken off is, like
 * the variant itself, a difference: of two files in one run and the first of them alone.
 */
async function measureVariants(): Promise<readonly Measured[]> {
  const sizeOf = (variant: string) =>
    statSync(join(deploy, `bench-1/qemux86-64-docker-${variant}/bench-1-qemux86-64-${variant}.img`)).blocks * 512;
  const [firsts, laters, boths, plainFirsts, plainBoths]: Measured[][] = [[], [], [], [], []];
  await times(async () => {
    firsts!.push(await composed('first'));
    laters!.push(await run('compose', '--out', deploy, '--variant', 'second'));
    boths!.push(await composed('first', 'second'));
    const sizes = [sizeOf('first'), sizeOf('second')];
    clean();
    plainFirsts!.push(await plainWrite(sizes.slice(0, 1)));
    plainBoths!.push(await plainWrite(sizes));
  });
  show('one variant', firsts!);
  show('the other one in a later run, its shared layers copied from the first', laters!);
  show('two variants that share all layers but one', boths!);
  show("plain write of the first's bytes, fsync", plainFirsts!);
  show("plain write of the first's and the second's bytes, fsync", plainBoths!);
  const [first, both] = [median(firsts!), median(boths!)];
  const extra = less(less(both, first), less(median(plainBoths!), median(plainFirsts!)));
  ratio('second variant, less the write / first', extra, first, 0.3);
  return boths!;
}

async function plainWrite(sizes: readonly number[]): Promise<Measured> {
  await measure('sync', []);
  const paths = sizes.map((_, index) => join(folder, `plain-${index}`));
  const args = sizes.flatMap((size, index) => [paths[index]!, String(size)]);
  const measured = await measure(process.execPath, [join(dist, 'bench/plain-write.mjs'), ...args]);
  for (const path of paths) rmSync(path);
  return measured;
}

/** What the one took more than the other; nothing below 0. */
function less(one: Measured, other: Measured): Measured {
  return {
    seconds: Math.max(0, one.seconds - other.seconds),
    cpuSeconds: Math.max(0, one.cpuSeconds - other.cpuSeconds),
    userSeconds: Math.max(0, one.userSeconds - other.userSeconds),
    peakBytes: 0,
  };
}

/** Medians, and all runs when there are several. */
function show(label: string, runs: readonly Measured[]): void {
  const { seconds, cpuSeconds, userSeconds, peakBytes } = median(runs);
  const each = (value: (run: Measured) => number) =>
    runs.length === 1 ? '' : ` (${runs.map((one) => value(one).toFixed(2)).join(', ')})`;
  console.log(
    `${label}: ${seconds.toFixed(2)} s${each((one) => one.seconds)}, CPU ${cpuSeconds.toFixed(2)} s${each((one) => one.cpuSeconds)}, user ${userSeconds.toFixed(2)} s, peak ${formatByteSize(peakBytes)}`,
  );
}

function ratio(label: string, a: Measured, b: Measured, limit?: number): void {
  const aim = limit === undefined ? '' : ` (at most ${limit})`;
  const of = (unit: string, x: number, y: number) =>
    `${unit} ${(x / y).toFixed(2)} = ${x.toFixed(2)} s / ${y.toFixed(2)} s`;
  console.log(
    `${label}: ${of('time', a.seconds, b.seconds)}, ${of('CPU', a.cpuSeconds, b.cpuSeconds)}, ${of('user', a.userSeconds, b.userSeconds)}${aim}`,
  );
}
