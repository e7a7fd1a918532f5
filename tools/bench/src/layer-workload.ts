import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { measure, median, type Measured } from './measure.ts';

/** Variants of the two products: a usual one and a large one. Aims of wall time in seconds, start-up included. */
const SIZES = [
  { variants: 2, aim: 0.5 },
  { variants: 50, aim: 2 },
];

/**
 * `boxship layer` as a whole process, start-up included: into a folder that is not there, and again with nothing to change.
 * Says whether all runs wrote equal bytes.
 */
export async function measureLayers(boxship: string, folder: string, runs: number): Promise<void> {
  mkdirSync(folder, { recursive: true });
  if (!existsSync(join(folder, 'bench.key'))) {
    await measure(boxship, ['-q', 'keygen', '--development', '--output-key-prefix', join(folder, 'bench')], { COSIGN_PASSWORD: '' }); // prettier-ignore
  }
  for (const { variants, aim } of SIZES) {
    const product = join(folder, `boxship-${variants}.yaml`);
    writeFileSync(product, productText(variants));
    const out = join(folder, `yocto-${variants}`);
    const digests = new Set<string>();
    const fresh: Measured[] = [];
    const again: Measured[] = [];
    for (let run = 0; run < runs; run++) {
      rmSync(out, { recursive: true, force: true });
      fresh.push(await measure(boxship, ['-f', product, '-q', 'layer', '--out', out]));
      again.push(await measure(boxship, ['-f', product, '-q', 'layer', '--out', out]));
      digests.add(digestOf(out));
    }
    const show = (label: string, { seconds, cpuSeconds }: Measured, limit = '') =>
      console.log(`${label}, ${variants} variants: ${seconds.toFixed(2)} s (processor ${cpuSeconds.toFixed(2)} s)${limit}`);
    show('layer, new', median(fresh), ` (at most ${aim})`);
    show('layer, nothing changed', median(again));
    console.log(`${runs} runs wrote ${digests.size === 1 ? 'equal bytes' : `${digests.size} DIFFERENT layers`}`);
  }
} // prettier-ignore

function productText(count: number): string {
  const variants = Array.from({ length: count }, (_, index) => `  v${index}: { apps: [web] }\n`).join('');
  return [
    'apiVersion: boxship/v1\nproduct: bench\nversion: "1"\nengine: docker\n',
    'machines: { qemux86-64: {}, raspberrypi4-64: {} }\napps: { web: { compose: ./compose.yaml } }\n',
    `variants:\n${variants}signing: { key: ./bench.key }\n`,
    'yocto: { release: wrynose, maintainer: Bench <bench@bench.example> }\n',
  ].join('');
}

function digestOf(folder: string): string {
  const hash = createHash('sha256');
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  for (const path of entries.map((entry) => join(entry.parentPath, entry.name)).sort()) {
    hash
      .update(`${path.slice(folder.length)}\0`)
      .update(readFileSync(path))
      .update('\0');
  }
  return hash.digest('hex');
}
