import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import type { PodmanVersion } from './versions.ts';

/** podman's own systemd generator, which tests ask for its opinion of Quadlet files. */
export interface QuadletGenerator {
  readonly name: string;
  readonly version: PodmanVersion;
  /** Units by name, as it would hand them to systemd; `complaints` are its own words, '' when it has none. */
  convert(
    files: ReadonlyMap<string, string>,
  ): Promise<{ readonly units: ReadonlyMap<string, string>; readonly complaints: string }>;
}

/**
 * Every generator that tools/setup has fetched, and those that BOXSHIP_QUADLETS names (`4.9=/path/of/quadlet,…`). A missing
 * one is a failure in CI.
 */
export async function findQuadletGenerators(): Promise<readonly QuadletGenerator[]> {
  const cache = process.env['BOXSHIP_TEST_CACHE'] ?? join(process.env['HOME'] ?? homedir(), '.cache', 'boxship-test');
  const found: QuadletGenerator[] = [];
  for (const [suite, version] of [['trixie', [5, 4]], ['sid', [5, 8]]] as const) {
    const root = join(cache, `tools/podman-${suite}`);
    const there = await access(join(root, 'usr/libexec/podman/quadlet')).then(() => true, () => false);
    if (!there && process.env['CI'] === 'true') throw new Error(`podman of ${suite} is missing`);
    // with the libraries of its own release
    if (there) found.push(generator(`podman of ${suite}`, version, [join(root, 'lib64/ld-linux-x86-64.so.2'), '--library-path', join(root, 'usr/lib/x86_64-linux-gnu'), join(root, 'usr/libexec/podman/quadlet')]));
  }
  for (const item of (process.env['BOXSHIP_QUADLETS'] ?? '').split(',').filter(Boolean)) {
    const [, major, minor, path] = /^(\d+)\.(\d+)=(.+)$/.exec(item)!;
    found.push(generator(`podman ${major}.${minor}`, [Number(major), Number(minor)], [path!]));
  }
  return found;
} // prettier-ignore

function generator(name: string, version: PodmanVersion, command: readonly string[]): QuadletGenerator {
  return {
    name,
    version,
    async convert(files) {
      const folder = await mkdtemp(join(tmpdir(), 'boxship-quadlet-'));
      try {
        for (const [file, text] of files) await writeFile(join(folder, file), text);
        const result = await runProgram(command[0]!, [...command.slice(1), '-dryrun'], {
          env: { QUADLET_UNIT_DIRS: folder },
          accept: [0, 1],
        });
        const parts = result.stdout.toString().split(/^---(.+)---$/m);
        const units = new Map<string, string>();
        for (let at = 1; at < parts.length; at += 2) units.set(parts[at]!, parts[at + 1]!.trimStart());
        const complaints = result.stderr.split('\n').filter((line) => line !== '' && !/Loading source unit file/.test(line));
        return { units, complaints: complaints.join('\n') };
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
} // prettier-ignore
